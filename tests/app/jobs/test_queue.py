"""The queue: turns, later starts, pauses, copies, and what is put away; over HTTP and on the command line."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from adapters.errors import StudioError
from app.jobs.store import JobStore
from app.studio import Studio
from app.verbs.cli import main
from pipelines.run_config import RunConfig
from pipelines.shipped import SAMPLES


def ids(client: TestClient) -> list[str]:
    return [j["id"] for j in client.get("/studio/queue").json()["waiting"]]


@pytest.fixture
def three(studio: Studio) -> list[str]:
    for name in "abc":
        studio.store.add(f"{name}-1", name)
        (studio.home.runs / f"{name}-1").mkdir()
    return ["a-1", "b-1", "c-1"]


def trained(studio: Studio, **options: Any) -> str:
    return studio.start_training([SAMPLES / "koala" / "0.png"], "mykoala", "bear", **options)


@pytest.mark.parametrize(("run", "where", "order"), [
    ("c-1", "up", "acb"), ("a-1", "down", "bac"), ("c-1", "first", "cab"), ("a-1", "last", "bca"),
    ("a-1", "up", "abc"), ("c-1", "down", "abc")])
def test_a_waiting_job_gets_another_turn_and_is_started_in_it(
        client: TestClient, studio: Studio, three: list[str], run: str, where: str, order: str) -> None:
    answer = client.post(f"/studio/runs/{run}/move", json={"where": where}).json()
    assert [j["name"] for j in answer["waiting"]] == list(order)
    started = []
    while job := studio.store.claim():
        started.append(job.name)
        studio.store.end(job.id, "finished")
    assert started == list(order)


def test_a_new_and_a_resumed_job_come_last(client: TestClient, studio: Studio, three: list[str]) -> None:
    studio.stop("a-1")
    studio.store.move("c-1", "first")
    studio.store.add("d-1", "d")
    studio.resume("a-1")
    assert ids(client) == ["c-1", "b-1", "d-1", "a-1"]


def test_nothing_starts_while_the_queue_is_paused_and_each_job_says_so(
        client: TestClient, studio: Studio, three: list[str]) -> None:
    seen = client.post("/studio/queue/pause").json()
    assert seen["paused"] and all("paused" in j["waits"] for j in seen["waiting"])
    assert studio.store.claim() is None
    assert client.post("/studio/queue/go-on").json()["paused"] is False
    job = studio.store.claim()
    assert job is not None and job.id == "a-1"


def test_a_job_for_later_lets_others_pass_until_its_time(
        client: TestClient, studio: Studio, three: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    at = time.time() + 3600
    seen = client.post("/studio/runs/a-1/later", json={"at": at}).json()
    assert seen["waiting"][0]["waits"].startswith("Starts on ") and "in a moment" in seen["waiting"][1]["waits"]
    for expected in ("b-1", "c-1"):
        job = studio.store.claim()
        assert job is not None and job.id == expected
        studio.store.end(job.id, "finished")
    assert studio.store.claim() is None
    monkeypatch.setattr(time, "time", lambda: at + 1)
    job = studio.store.claim()
    assert job is not None and job.id == "a-1"


@pytest.mark.parametrize("at", [1.0, 1e12])
def test_a_time_that_is_past_or_years_away_is_a_sentence(client: TestClient, three: list[str], at: float) -> None:
    answer = client.post("/studio/runs/a-1/later", json={"at": at})
    assert answer.status_code == 400 and "within the next year" in answer.json()["error"]


def test_each_waiting_job_says_what_it_waits_for(client: TestClient, studio: Studio, three: list[str]) -> None:
    studio.store.claim()
    first, second = client.get("/studio/queue").json()["waiting"]
    assert first["waits"] == "Waits for 'a' (training): each has the device to itself."
    assert second["waits"] == "Waits for 'b' (training), which is before it."


def test_what_does_not_wait_has_no_turn(client: TestClient, studio: Studio, three: list[str]) -> None:
    studio.store.claim()
    for path, body in (("move", {"where": "up"}), ("later", {"at": time.time() + 60})):
        answer = client.post(f"/studio/runs/a-1/{path}", json=body)
        assert answer.status_code == 400 and "'a' is running; only what waits" in answer.json()["error"]
    assert "choose one of these" in client.post("/studio/runs/b-1/move", json={"where": "sideways"}).json()["error"]


def test_a_clone_has_the_frozen_settings_and_pictures_under_a_free_name(client: TestClient, studio: Studio) -> None:
    run = trained(studio, steps=12, rank=4)
    source = studio.home.runs / run
    RunConfig.load(source).with_triggers(lambda given: "zok").save(source)  # as a start leaves it
    answer = client.post(f"/studio/runs/{run}/clone", json={"settings": {"seed": 5}}).json()
    old, new = (RunConfig.load(studio.home.runs / r) for r in (run, answer["id"]))
    assert (answer["name"], answer["state"], new.name) == ("mykoala-2", "queued", "mykoala-2")
    assert new.training == old.training.model_copy(update={"seed": 5})
    assert new.trigger == "" and [(c.name, c.noun, c.trigger) for c in new.concepts] == [("mykoala-2", "bear", "")]
    assert (studio.home.runs / answer["id"] / "references" / "00.png").read_bytes() == (
        source / "references" / "00.png").read_bytes()


def test_what_a_clone_changes_is_told_before(client: TestClient, studio: Studio, three: list[str]) -> None:
    run = trained(studio, steps=12, rank=4)
    told = client.get(f"/studio/runs/{run}/settings").json()
    assert told["name"] == "mykoala-2"
    assert (told["settings"]["method"], told["settings"]["steps"], told["settings"]["rank"]) == ("lora", 12, 4)
    studio.store.add("d-1", "d", kind="compare")
    assert "is no training but a comparison" in client.get("/studio/runs/d-1/settings").json()["error"]


@pytest.mark.parametrize(("body", "said"), [
    ({"name": "mykoala"}, "a concept 'mykoala' already"), ({"name": "../x"}, "cannot be a name"),
    ({"settings": {"stepz": 1}}, "no setting 'stepz'"), ({"settings": {"steps": 0}}, "'steps' cannot be 0")])
def test_a_clone_that_cannot_be_is_a_sentence_and_leaves_nothing(
        client: TestClient, studio: Studio, body: dict[str, Any], said: str) -> None:
    run = trained(studio)
    answer = client.post(f"/studio/runs/{run}/clone", json=body)
    assert answer.status_code == 400 and said in answer.json()["error"]
    assert [j.id for j in studio.jobs()] == [run] and len(list(studio.home.runs.iterdir())) == 1


def test_a_deleted_run_lies_in_the_trash_and_comes_back_as_it_was(client: TestClient, studio: Studio) -> None:
    run = trained(studio)
    before = sorted(p.name for p in (studio.home.runs / run).rglob("*"))
    assert client.delete(f"/studio/runs/{run}").json() == {"deleted": run}
    assert client.get("/studio/runs").json() == [] and ids(client) == []
    assert not (studio.home.runs / run).exists() and (studio.home.trash / "runs" / run).is_dir()
    assert client.get(f"/studio/runs/{run}").status_code == 400
    assert [j["id"] for j in client.get("/studio/queue").json()["deleted"]] == [run]
    assert client.post(f"/studio/runs/{run}/restore").json()["state"] == "stopped"
    assert client.get("/studio/queue").json()["deleted"] == []
    assert sorted(p.name for p in (studio.home.runs / run).rglob("*")) == before
    assert client.post(f"/studio/runs/{run}/resume").json()["state"] == "queued"
    assert "cannot be brought back" in client.post(f"/studio/runs/{run}/restore").json()["error"]


def test_a_running_job_is_not_deleted(client: TestClient, studio: Studio, three: list[str]) -> None:
    studio.store.claim()
    answer = client.delete("/studio/runs/a-1")
    assert answer.status_code == 400 and answer.json()["error"] == "'a' is running; stop it first, then delete it."
    assert (studio.home.runs / "a-1").is_dir() and studio.job("a-1").state == "running"


def test_a_deletion_that_the_system_refuses_changes_nothing(
        studio: Studio, three: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def refuse(old: Any, new: Any) -> None:
        if Path(old).is_dir():  # files of the state may still be written
            raise PermissionError(13, "Permission denied")
        replace(old, new)

    monkeypatch.setattr("app.jobs.queue._move", refuse)
    with pytest.raises(StudioError, match="could not be put away"):
        studio.queue.delete("b-1")
    assert studio.job("b-1").state == "stopped" and (studio.home.runs / "b-1").is_dir()


def test_a_deleted_run_is_not_gone_on_with(studio: Studio, three: list[str]) -> None:
    studio.queue.delete("a-1")
    assert not studio.store.requeue("a-1") and not studio.store.take("a-1", 1)


def test_only_a_training_is_gone_on_with_on_the_command_line(
        studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio.store.add("a-evaluate-1", "a", kind="evaluate")
    studio.stop("a-evaluate-1")
    assert main(["train", "--name", "a", "--resume", "--home", str(studio.home.root)]) == 2
    assert "no training 'a' to go on with" in capsys.readouterr().err
    assert studio.job("a-evaluate-1").state == "stopped"


def test_the_queue_on_the_command_line(studio: Studio, three: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(studio.home.root)]
    assert main(["queue", "first", "c-1", *home]) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["waits", "c-1"], ["waits", "a-1"], ["waits", "b-1"]]
    assert main(["queue", "pause", *home, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["paused"] is True
    assert main(["queue", "up", *home]) == 2 and "needs a job" in capsys.readouterr().err


def test_the_queue_on_the_command_line_lists_what_can_be_resumed_and_restored(
        studio: Studio, three: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(studio.home.root)]
    assert main(["queue", "stop", "b-1", *home]) == 0
    assert main(["queue", "delete", "c-1", *home]) == 0
    capsys.readouterr()
    assert main(["queue", *home]) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["waits", "a-1"], ["stopped", "b-1"], ["deleted", "c-1"]]
    for action, job in (("resume", "b-1"), ("restore", "c-1")):
        assert main(["queue", action, job, *home, "--json"]) == 0
    seen = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert ([j["id"] for j in seen["waiting"]], [j["id"] for j in seen["ended"]], seen["deleted"]) == (
        ["a-1", "b-1"], ["c-1"], [])


def test_a_job_list_of_an_older_version_keeps_its_jobs_and_their_order(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("CREATE TABLE migrations (number INTEGER PRIMARY KEY)")
        db.execute("""CREATE TABLE jobs (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, pid INTEGER,
            message TEXT NOT NULL DEFAULT '', created REAL NOT NULL, started REAL, ended REAL)""")
        db.execute("""CREATE UNIQUE INDEX one_active_name ON jobs (lower(name))
            WHERE state IN ('queued', 'running')""")
        db.executemany("INSERT INTO migrations VALUES (?)", [(0,), (1,)])
        db.executemany("INSERT INTO jobs (id, name, state, created) VALUES (?, ?, ?, ?)",
                       [("a-1", "a", "finished", 1.0), ("b-1", "b", "queued", 2.0), ("c-1", "c", "queued", 3.0)])
    store = JobStore(tmp_path / "a.db")
    assert [(j.id, j.kind) for j in store.waiting()] == [("b-1", "train"), ("c-1", "train")]
    assert [j.id for j in store.all()] == ["c-1", "b-1", "a-1"]
    with pytest.raises(StudioError, match="waiting or running"):
        store.add("b-2", "B")
    store.add("b-3", "b", kind="evaluate")
    assert [j.id for j in JobStore(tmp_path / "a.db").waiting()] == ["b-1", "c-1", "b-3"]
