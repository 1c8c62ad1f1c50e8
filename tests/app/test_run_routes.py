"""Trainings over HTTP: what is asked for, what is told, and events that can be picked up again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.runs import EventLog
from app.studio import Studio
from pipelines.shipped import SAMPLES


@pytest.fixture
def draft(client: TestClient) -> str:
    id: str = client.post("/studio/drafts").json()["id"]
    client.patch(f"/studio/drafts/{id}", json={"things": [{"name": "mykoala", "noun": "bear"}]})
    picture = (SAMPLES / "koala" / "0.png").read_bytes()
    client.post(f"/studio/drafts/{id}/pictures", files={"files": ("0.png", picture)})
    return id


def test_a_draft_is_queued_with_its_settings(client: TestClient, studio: Studio, draft: str) -> None:
    answer = client.post("/studio/runs", json={"draft": draft, "settings": {"steps": 12, "rank": 4}}).json()
    assert (answer["name"], answer["state"], answer["step"]) == ("mykoala", "queued", 0)
    config = json.loads((studio.home.runs / answer["id"] / "config.json").read_text("utf-8"))
    assert (config["training"]["steps"], config["training"]["rank"]) == (12, 4)
    assert [r["id"] for r in client.get("/studio/runs").json()] == [answer["id"]]


@pytest.mark.parametrize(("asked", "said"), [
    ({"method": "magic"}, "no method 'magic'"), ({"settings": {"stepz": 3}}, "no setting 'stepz'"),
    ({"settings": {"steps": 0}}, "steps"), ({"preset": "fastest"}, "fastest"), ({"draft": "0" * 12}, "draft")])
def test_what_makes_no_sense_is_a_sentence_and_queues_nothing(
        client: TestClient, studio: Studio, draft: str, asked: dict[str, Any], said: str) -> None:
    answer = client.post("/studio/runs", json={"draft": draft, **asked})
    assert answer.status_code == 400 and said in answer.json()["error"]
    assert studio.jobs() == []


def _events(text: str) -> list[tuple[int | None, str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((int(lines["id"]) if "id" in lines else None, lines["event"], json.loads(lines["data"])))
    return found


def test_events_can_be_picked_up_where_they_were_left(client: TestClient, studio: Studio, draft: str) -> None:
    run = client.post("/studio/runs", json={"draft": draft}).json()["id"]
    log = EventLog(studio.home.runs / run)
    for step in (1, 2, 3):
        log({"type": "step", "step": step, "total": 3, "loss": 0.5, "seconds": 0.1})
    log({"type": "finished", "step": 3, "trigger": "zok bear"})
    studio.store.end(run, "finished")
    everything = _events(client.get(f"/studio/runs/{run}/events").text)
    assert [(n, kind) for n, kind, _ in everything] == [
        (1, "step"), (2, "step"), (3, "step"), (4, "finished"), (None, "end")]
    assert everything[-1][2] == {"state": "finished"}
    rest = _events(client.get(f"/studio/runs/{run}/events", headers={"Last-Event-ID": "3"}).text)
    assert [(n, kind) for n, kind, _ in rest] == [(4, "finished"), (None, "end")]


def test_a_queued_run_is_stopped_and_queued_again(client: TestClient, draft: str) -> None:
    run = client.post("/studio/runs", json={"draft": draft}).json()["id"]
    assert client.post(f"/studio/runs/{run}/stop").json()["state"] == "stopped"
    assert "no checkpoint yet" in client.post(f"/studio/runs/{run}/keep").json()["error"]
    assert client.post(f"/studio/runs/{run}/resume").json()["state"] == "queued"


def test_a_run_that_is_none_is_a_sentence(client: TestClient) -> None:
    for answer in (client.get("/studio/runs/x"), client.get("/studio/runs/x/events"),
                   client.post("/studio/runs/x/stop")):
        assert answer.status_code == 400 and "no training" in answer.json()["error"]


def test_the_addresses_are_described(client: TestClient) -> None:
    paths = client.get("/studio/openapi.json").json()["paths"]
    assert {"/studio/runs", "/studio/runs/{run}/events", "/studio/drafts/{id}/pictures"} <= set(paths)
    assert paths["/studio/runs"]["post"]["description"].startswith("Queue a training")
