"""What was learned together goes together, by its own name; and nothing speaks of what is erased."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from adapters.record import AdapterRecord, Concept
from app.studio import Studio
from tests.app.concepts.test_erasing import painted, put
from tests.app.http.test_people import add
from tests.app.tools import FakePainter

BOTH = ("cat", "dog")


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch, record: AdapterRecord) -> None:
    """Every adapter that is painted with has some."""
    monkeypatch.setattr("app.http.image_routes.read_record", lambda path: record)


def draft(client: TestClient, *names: str) -> str:
    id: str = client.post("/studio/drafts").json()["id"]
    client.patch(f"/studio/drafts/{id}", json={"things": [{"name": n, "noun": "pet"} for n in names]})
    add(client, id, 0)
    return id


def erase(client: TestClient, name: str) -> Any:
    answer = client.post(f"/studio/concepts/{name}/erase").json()
    return answer.get("removed", answer.get("error"))


def joint(studio: Studio, record: AdapterRecord, name: str = "cat-dog", **told: Any) -> Path:
    """An adapter that learned both."""
    both = tuple(Concept(name=n, noun="pet", trigger=f"zok{n}") for n in BOTH)
    return put(studio, record.model_copy(update={"concepts": both}), name, **told)


def test_one_of_several_is_not_taken_out_and_all_of_them_go_by_the_name_of_the_whole(
        client: TestClient, studio: Studio, record: AdapterRecord) -> None:
    path, id = joint(studio, record), draft(client, *BOTH)
    before = path.read_bytes()
    for name, other in (("Cat", "dog"), ("dog", "cat")):
        assert erase(client, name) == (f"'{name}' was learned together with '{other}' in 'cat-dog' and cannot be taken "
                                       "out of it; erase 'cat-dog' first, with which all of them go.")
    assert path.read_bytes() == before and (studio.home.drafts / id).is_dir()
    removed = "\n".join(erase(client, "cat-dog"))
    assert "adapter cat-dog" in removed and f"draft {id}" in removed
    assert not path.exists() and not (studio.home.drafts / id).exists()
    assert erase(client, "cat").startswith("There is nothing called 'cat'")


def test_a_training_of_several_is_named_as_well(client: TestClient, studio: Studio) -> None:
    (studio.home.runs / "pets-1").mkdir()
    (studio.home.runs / "pets-1" / "config.json").write_text(
        json.dumps({"name": "pets", "concepts": [{"name": n} for n in BOTH]}))
    assert "together with 'dog' in 'pets'" in erase(client, "cat")
    assert erase(client, "pets") == ["training pets-1"]


def test_a_concept_is_taken_out_of_a_draft_of_several_first(client: TestClient, studio: Studio) -> None:
    id, deleted = draft(client, *BOTH), draft(client, *BOTH)
    client.delete(f"/studio/drafts/{deleted}")
    assert erase(client, "cat") == ("'cat' is in the draft 'cat' together with 'dog'; take it out of that draft first, "
                                    "then erase.")
    client.patch(f"/studio/drafts/{id}", json={"things": [{"name": "dog", "noun": "pet"}]})
    assert erase(client, "cat") == [f"draft {deleted}"]
    assert (studio.home.drafts / id).is_dir() and not (studio.home.trash / "drafts" / deleted).exists()


def test_styles_and_favourites_of_what_is_erased_go(client: TestClient, studio: Studio, record: AdapterRecord,
                                                    painter: FakePainter) -> None:
    put(studio, record, "ada")
    for name, prompt in (("Ada", "a hat"), ("snow", "{prompt} <lora:ada-step00000500:0.5>"), ("rain", "<lora:bob>")):
        studio.styles.keep({"name": name, "prompt": prompt})
    mine, other = painted(client, adapters=["ada"]), painted(client)
    for file in (mine, other):
        client.patch(f"/studio/images/{file}", json={"favourite": True}).raise_for_status()
    removed = erase(client, "ada")
    assert "style Ada" in removed and "style snow" in removed
    assert not {"Ada", "snow"} & {s.name for s in studio.styles.all()} and "rain" in {
        s.name for s in studio.styles.all()}
    assert studio.gallery.favourites() == {other}


def test_a_damaged_list_of_styles_stands_in_no_way(client: TestClient, studio: Studio, record: AdapterRecord) -> None:
    put(studio, record, "ada")
    studio.styles.file.write_text("{")
    assert erase(client, "ada")[0].startswith("adapter ada")
