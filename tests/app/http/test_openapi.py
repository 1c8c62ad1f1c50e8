"""The API as `/studio/openapi.json` describes it, and whether that is how it answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.home import Home
from app.http.server import create_app
from app.studio import Studio
from tests.app.filled import fill
from tests.app.people import logged_in, shared_app, two_people


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """Of a studio that has something in each room."""
    root = tmp_path_factory.mktemp("filled")
    fill(root)
    return TestClient(create_app(Studio(Home.open(str(root))), ["127.0.0.1"]), base_url="http://127.0.0.1")


@pytest.fixture(params=["alone", "with accounts"])
def document(request: pytest.FixtureRequest, filled: TestClient, tmp_path: Path,
             monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    client = filled
    if request.param == "with accounts":
        client = logged_in(shared_app(two_people(tmp_path, monkeypatch)), "alice")
    told: dict[str, Any] = client.get("/studio/openapi.json").json()
    return told


def verbs(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, verb in item.items():
            yield f"{method.upper()} {path}", verb


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def is_vague(schema: dict[str, Any] | None) -> bool:
    """Whether it says no more than that an object comes, or nothing at all."""
    if not schema:
        return True
    if schema.get("type") == "array":
        return is_vague(schema["items"])
    return schema.get("type") == "object" and "properties" not in schema


def test_every_verb_says_what_it_does_takes_and_answers(document: dict[str, Any]) -> None:
    lacks = []
    for name, verb in verbs(document):
        if len(verb.get("summary", "")) < 10 or not verb.get("description"):
            lacks.append(f"{name}: what it does")
        body = verb.get("requestBody")
        for part in (body or {}).get("content", {}).values():
            schema = resolved(part["schema"], document)
            bare = [field for field, about in schema.get("properties", {}).items()
                    if not (about.get("description") or resolved(about, document).get("description"))]
            if bare or not (schema.get("properties") or body.get("description")):
                lacks.append(f"{name}: what is sent ({', '.join(bare)})")
        for kind, part in verb["responses"]["200"].get("content", {"nothing": {}}).items():
            said = verb["responses"]["200"]["description"] not in ("Successful Response", "Done.")
            if is_vague(part.get("schema")) and not (said and part.get("schema")):
                lacks.append(f"{name}: what is answered ({kind})")
        if "4XX" not in verb["responses"]:
            lacks.append(f"{name}: how it refuses")
    assert not lacks, "\n".join(lacks)


def test_every_field_of_an_answer_is_described(document: dict[str, Any]) -> None:
    own = {n: s for n, s in document["components"]["schemas"].items() if "ValidationError" not in n}
    bare = [f"{name}.{field}" for name, schema in own.items() for field, about in schema.get("properties", {}).items()
            if not about.get("description")]
    assert not bare, bare


def unnamed(value: Any, schema: dict[str, Any], document: dict[str, Any], where: str = "") -> Iterator[str]:
    """Fields that came and that the schema does not name, and those that it promises and that did not come."""
    schema = resolved(schema, document)
    if isinstance(value, list):
        for one in value:
            yield from unnamed(one, schema.get("items", {}), document, where)
    elif isinstance(value, dict) and value:
        options = [resolved(s, document) for s in schema.get("anyOf", [schema])]
        named = next((s["properties"] for s in options if "properties" in s), None)
        if named is not None:
            promised = {field for s in options for field in s.get("required", ())}
            yield from (f"{where}.{field}" for field in {*(value.keys() - named.keys()), *(promised - value.keys())})
            for field in named.keys() & value.keys():
                yield from unnamed(value[field], named[field], document, f"{where}.{field}")


def test_answers_have_the_fields_that_are_described_and_no_others(filled: TestClient) -> None:
    document = filled.get("/studio/openapi.json").json()
    run = next(j["id"] for j in filled.get("/studio/runs").json() if j["kind"] == "train")
    draft = filled.get("/studio/drafts").json()[0]["id"]
    picture = filled.get("/studio/images").json()["images"][0]["file"]
    asked = {"runs": "", "runs/{run}": run, "queue": "", "drafts": "", "drafts/{id}": draft,
             "drafts/{id}/checks": draft, "drafts/{id}/consent": draft, "images": "", "images/choices": "",
             "images/paintings": "", "images/{file}/settings": picture, "library": "", "library/{name}": "tiger",
             "trash": "", "system": "", "bases": "", "downloads": "", "methods": "", "consents": ""}
    odd, seen = [], 0
    for path, id in asked.items():
        told = filled.get("/studio/" + path.replace("{id}", id).replace("{run}", id).replace("{file}", id).replace(
            "{name}", id))
        assert told.status_code == 200, told.text
        seen += bool(told.json())
        answer = document["paths"][f"/studio/{path}"]["get"]["responses"]["200"]["content"]["application/json"]
        odd += unnamed(told.json(), answer["schema"], document, path)
    assert not odd, odd
    assert seen >= 14  # the others are empty lists here
