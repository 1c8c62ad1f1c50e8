"""A person's likeness: not without consent by any way, and gone when it is revoked."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from adapters.errors import StudioError
from app.studio import Studio
from pipelines.shipped import SAMPLES
from tests.app.http.test_people import STATEMENT, draft_of, left, made, start  # noqa: F401
from tests.faults.conftest import Note


def test_a_person_without_consent_is_blocked_on_every_way_in(client: TestClient, studio: Studio, note: Note) -> None:
    draft = draft_of(client, 0, 1)
    asked = {"/studio/runs": {"draft": draft}, "/studio/runs/preflight": {"draft": draft},
             "/studio/comparisons": {"draft": draft, "methods": ["lora"]}}
    for path, body in asked.items():
        answer = client.post(path, json=body)
        assert answer.status_code == 400 and "consent" in answer.json()["error"], (path, answer.text)
    pictures = [SAMPLES / "koala" / f"{n}.png" for n in range(2)]
    with pytest.raises(StudioError, match="consent"):
        studio.prepare_run(pictures, "ada", "bear", kinds=["person"])  # the command line
    given = client.post("/studio/consents", json={"draft": draft, **STATEMENT}).json()["id"]
    assert client.post(f"/studio/consents/{given}/revoke").status_code == 200
    with pytest.raises(StudioError, match="consent"):
        studio.prepare_run(pictures, "ada", "bear", kinds=["person"])  # revoked, it counts no more
    assert studio.jobs() == [] and not list(studio.home.runs.iterdir())
    note(15, "a person without consent: training, pre-flight, comparison, command line, revoked statement",
         len(asked) + 2, "all blocked in a sentence, nothing queued")


def test_what_was_made_under_a_revoked_statement_is_gone(client: TestClient, studio: Studio, note: Note,
                                                         made: tuple[str, str]) -> None:  # noqa: F811
    derivatives = len(left(studio))
    assert derivatives
    removed = client.post(f"/studio/consents/{made[1]}/revoke").json()["removed"]
    assert left(studio) == [] and [e.name for e in studio.library.entries()] == ["bob"]
    assert not list(studio.home.trash.rglob("*.png"))
    note(15, "consent revoked: files and folders of adapters, trainings, evaluations, pictures, in the trash too",
         derivatives, f"none left; the record names {len(removed)} things; what belongs to others stayed")
