"""What is to be no person and seems to show a face is learned only when that was confirmed, by every way."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

import app.concepts.showing
import app.verbs.kinds
from adapters.record import AdapterRecord, read_record
from app.concepts.draft import Draft, Thing
from app.concepts.showing import check_faces
from app.studio import Studio
from app.verbs.cli import main
from pipelines.dataset_folders.model import Sample
from pipelines.lab.compare import Comparison
from pipelines.shipped import SAMPLES
from tests.app.concepts.test_erasing import put
from tests.app.http.test_people import STATEMENT, draft_of

KOALA = SAMPLES / "koala"
WAYS = {"/studio/runs": {}, "/studio/runs/preflight": {}, "/studio/comparisons": {"methods": ["lora"]}}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that sees a face in everything."""
    for place in (app.concepts.showing, app.verbs.kinds):
        monkeypatch.setattr(place, "faces", lambda image: 1 if isinstance(image, Image.Image) else 0)


@pytest.mark.parametrize("path", WAYS)
@pytest.mark.parametrize("kind", ["object", "animal"])
def test_a_face_is_asked_about_until_it_is_said_to_be_none(client: TestClient, studio: Studio, seen: None, path: str,
                                                           kind: str) -> None:
    body = {"draft": draft_of(client, 0, kind=kind), **WAYS[path]}
    answer = client.post(path, json=body)
    assert answer.status_code == 409 and "'0.png' seems to show a face; say under Concepts" in answer.json()["error"]
    assert studio.jobs() == [] and not list(studio.home.runs.iterdir())
    assert client.post(path, json={**body, "no_face": True}).status_code == 200
    assert len(studio.jobs()) == 1


def test_of_a_person_with_consent_and_without_a_detector_nothing_is_asked(
        client: TestClient, seen: None, monkeypatch: pytest.MonkeyPatch) -> None:
    person = draft_of(client, 0)
    client.post("/studio/consents", json={"draft": person, **STATEMENT})
    assert client.post("/studio/runs", json={"draft": person}).status_code == 200
    monkeypatch.setattr(app.concepts.showing, "faces", lambda image: None)
    toy = draft_of(client, 1, kind="object", name="toy")
    assert client.post("/studio/runs", json={"draft": toy}).status_code == 200


def test_where_one_thing_is_a_person_the_others_are_not_asked_about(seen: None) -> None:
    check_faces(Draft(id="0" * 12, things=(Thing(kind="object"), Thing(kind="person"))),
                [Sample(KOALA / "0.png")])


def test_dreambench_asks_as_the_other_verbs_that_teach(tmp_path: Path, seen: None, monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    taught: list[str] = []

    def run(comparison: Comparison, *_: object) -> Any:
        taught.append(comparison.consent)
        return []

    def said(*options: str) -> str:
        main(["dreambench", "--base", "starter", "--data", str(tmp_path / "data"), "--home", str(tmp_path / "home"),
              "--offline", *options])
        return capsys.readouterr().err

    shutil.copytree(KOALA, tmp_path / "data" / "dog")
    monkeypatch.setattr("app.verbs.lab_verbs._encoders", lambda *_: [])
    monkeypatch.setattr(Comparison, "run", run)
    assert "seems to show a face" in said()
    assert "only with their consent" in said("--kind", "person") and not taught
    assert "seems to show a face" not in said("--no-face")


def test_an_adapter_from_elsewhere_is_marked_as_a_persons_and_stays_one(client: TestClient, studio: Studio,
                                                                        record: AdapterRecord) -> None:
    path = put(studio, record.model_copy(update={"concepts": ()}), "ida")
    client.patch("/studio/library/ida", json={"tags": ["mine"], "notes": "kept"}).raise_for_status()
    told = client.patch("/studio/library/ida", json={"kind": "person"}).json()
    assert [c["kind"] for c in told["concepts"]] == ["person"] and (told["tags"], told["notes"]) == (["mine"], "kept")
    assert read_record(path).shows_a_person and read_record(path).phrase == record.phrase
    before = path.read_bytes()
    for kind in ("object", "", None):
        assert client.patch("/studio/library/ida", json={"kind": kind}).status_code == 400
    client.patch("/studio/library/ida", json={"kind": "person"}).raise_for_status()
    assert path.read_bytes() == before
