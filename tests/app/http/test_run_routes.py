"""Trainings over HTTP: what is asked for, what is told, and events that can be picked up again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.jobs.runs import EventLog, WishFiles
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


def test_an_estimate_is_there_at_once_and_goes_by_what_was_trained_here(client: TestClient, studio: Studio,
                                                                        draft: str) -> None:
    wanted = {"draft": draft, "settings": {"steps": 100, "batch": 2, "preview_every": 0}}
    guess = client.post("/studio/runs/estimate", json=wanted).json()
    assert guess["says"].startswith("Estimated: ") and guess["like"] == "" and studio.jobs() == []
    run = client.post("/studio/runs", json=wanted).json()["id"]
    assert client.get(f"/studio/runs/{run}/estimate").json() == guess
    EventLog(studio.home.runs / run)({"type": "step", "step": 1, "total": 100, "loss": 0.5, "seconds": 30.0})
    studio.store.end(run, "finished")
    known = client.post("/studio/runs/estimate", json=wanted).json()
    assert known["like"] == "mykoala" and 3000 < known["seconds"] < 3100
    other = client.post("/studio/runs/estimate", json=wanted | {"method": "textual-inversion"}).json()
    assert other["like"] == ""
    assert "no setting 'stepz'" in client.post("/studio/runs/estimate", json=wanted | {
        "settings": {"stepz": 3}}).json()["error"]
    unknown = client.post("/studio/runs/estimate", json=wanted | {"draft": "0" * 12})
    assert unknown.status_code == 400 and "draft is not here" in unknown.json()["error"]


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


def test_a_draft_that_was_taught_already_is_started_under_a_free_name(client: TestClient, studio: Studio,
                                                                      draft: str) -> None:
    client.post("/studio/runs", json={"draft": draft})
    refused = client.post("/studio/runs", json={"draft": draft})
    assert refused.status_code == 400 and "a concept 'mykoala' already" in refused.json()["error"]
    assert refused.json()["free"] == "mykoala-2"
    again = client.post("/studio/runs", json={"draft": draft, "name": refused.json()["free"]}).json()
    config = json.loads((studio.home.runs / again["id"] / "config.json").read_text("utf-8"))
    assert again["name"] == config["name"] == config["concepts"][0]["name"] == "mykoala-2" and config["draft"] == draft
    tried = client.post("/studio/runs/preflight", json={"draft": draft})  # keeps nothing under its name
    assert tried.status_code == 200 and tried.json()["kind"] == "preflight"


def test_a_run_that_was_asked_to_stop_says_so_until_it_has(client: TestClient, studio: Studio, draft: str) -> None:
    run = client.post("/studio/runs", json={"draft": draft}).json()["id"]
    studio.store.claim()
    assert client.get(f"/studio/runs/{run}").json()["stopping"] is False
    assert client.post(f"/studio/runs/{run}/stop").json()["stopping"] is True
    assert client.get("/studio/runs").json()[0]["stopping"] is True
    assert client.get("/studio/queue").json()["running"]["stopping"] is True
    studio.store.end(run, "stopped")
    assert client.get(f"/studio/runs/{run}").json()["stopping"] is False


def test_a_run_that_is_none_is_a_sentence(client: TestClient) -> None:
    for answer in (client.get("/studio/runs/x"), client.get("/studio/runs/x/events"),
                   client.post("/studio/runs/x/stop")):
        assert answer.status_code == 400 and "no training" in answer.json()["error"]


def test_the_addresses_are_described(client: TestClient) -> None:
    paths = client.get("/studio/openapi.json").json()["paths"]
    assert {"/studio/runs", "/studio/runs/{run}/events", "/studio/drafts/{id}/pictures"} <= set(paths)
    assert paths["/studio/runs"]["post"]["description"].startswith("Queue a training")


def test_a_preflight_goes_before_all_that_waits_and_only_the_last_is_kept(
        client: TestClient, studio: Studio, draft: str) -> None:
    studio.store.add("a-1", "a")
    first = client.post("/studio/runs/preflight", json={"draft": draft, "settings": {"steps": 12}}).json()
    assert (first["kind"], first["state"]) == ("preflight", "queued")
    assert [j["kind"] for j in client.get("/studio/queue").json()["waiting"]] == ["preflight", "train"]
    assert json.loads((studio.home.runs / first["id"] / "config.json").read_text("utf-8"))["training"]["steps"] == 12
    client.post(f"/studio/runs/{first['id']}/stop")
    second = client.post("/studio/runs/preflight", json={"draft": draft}).json()
    assert [j.id for j in studio.jobs() if j.kind == "preflight"] == [second["id"]]
    assert not (studio.home.runs / first["id"]).exists()
    run = client.post("/studio/runs", json={"draft": draft}).json()  # the same name: a pre-flight takes none
    assert run["name"] == "mykoala" and run["kind"] == "train"


def test_a_preflights_figures_are_read_back_and_it_gives_no_adapter(
        client: TestClient, studio: Studio, draft: str) -> None:
    run = client.post("/studio/runs/preflight", json={"draft": draft}).json()["id"]
    job = studio.store.claim()
    assert job is not None
    folder = studio.home.runs / run
    (folder / "result.json").write_text(json.dumps({"seconds": 61.0, "says": "About 61 s."}))
    log = EventLog(folder)
    log({"type": "stage", "text": "Starting"})
    log({"type": "outcome", "state": "finished", "message": ""})
    studio.supervisor._settle(job, 0)
    assert studio.job(run).state == "finished" and studio.library.entries() == []
    assert client.get(f"/studio/runs/{run}/result").json()["says"] == "About 61 s."
    assert "is no training" in client.post(f"/studio/runs/{run}/keep").json()["error"]


def test_only_a_running_training_can_save_or_sample_now(client: TestClient, studio: Studio, draft: str) -> None:
    run = client.post("/studio/runs", json={"draft": draft}).json()["id"]
    assert "is queued; only a training that runs" in client.post(f"/studio/runs/{run}/save-now").json()["error"]
    studio.store.claim()
    for what in ("save", "sample"):
        assert client.post(f"/studio/runs/{run}/{what}-now").status_code == 200
        wishes = WishFiles(studio.home.runs / run)
        assert [wishes.take(what), wishes.take(what)] == [True, False]
    assert client.post(f"/studio/runs/{run}/dance-now").status_code == 400


def test_events_go_on_after_a_number_in_the_address_too(client: TestClient, studio: Studio, draft: str) -> None:
    run = client.post("/studio/runs", json={"draft": draft}).json()["id"]
    log = EventLog(studio.home.runs / run)
    for step in (1, 2):
        log({"type": "checkpoint", "step": step, "file": f"{step}"})
    studio.store.cancel(run)
    assert [n for n, *_ in _events(client.get(f"/studio/runs/{run}/events?after=1").text)] == [2, None]
    assert client.get(f"/studio/runs/{run}").json()["checkpoints"] == [1, 2]


def test_what_is_sent_twice_with_one_key_is_done_once(client: TestClient, studio: Studio, draft: str) -> None:
    ids = [client.post("/studio/runs", json={"draft": draft}, headers={"Idempotency-Key": "a"}).json()["id"]
           for _ in range(3)]
    assert len(set(ids)) == 1 == len(studio.jobs()) == len(list(studio.home.runs.iterdir()))
    other = client.post("/studio/runs", json={"draft": draft}, headers={"Idempotency-Key": "b"})
    assert other.status_code == 400 and "already" in other.json()["error"]
