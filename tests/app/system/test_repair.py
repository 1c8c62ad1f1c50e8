"""The job list is made anew from the files: all that it said is there again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.errors import StudioError
from app.home import Home
from app.jobs.device import LOCK, FileLock
from app.jobs.runs import EventLog
from app.jobs.store import COLUMNS, JobStore
from app.studio import Studio
from app.system.repair import damage, repair
from app.verbs.cli import main

CONFIG = {"name": "a", "class_noun": "cat", "base": "starter", "training": {"method": "lora", "steps": 1,
                                                                            "learning_rate": 0.1}}


def job(studio: Studio, id: str, **asked: object) -> str:
    folder = studio.home.runs / id
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**CONFIG, "name": id[:-2]}))
    return studio.store.add(id, id[:-2], **asked)  # type: ignore[arg-type]


@pytest.fixture
def full(tmp_path: Path) -> Studio:
    """Jobs in every state, an order that was changed, a pause, a later start, one in the trash."""
    studio = Studio(Home.open(str(tmp_path / "home")))
    for n, state in enumerate(("finished", "failed", "stopped", "interrupted")):
        job(studio, f"{state}-{n}")
        assert studio.store.claim()
        studio.store.end(f"{state}-{n}", state, "The disk is full." if state == "failed" else "")  # type: ignore[arg-type]
    for id in ("later-1", "first-1", "last-1", "thrown-1"):
        job(studio, id, asked=f"key of {id}")
    job(studio, "try-1", kind="preflight", first=True)
    studio.store.move("first-1", "first")
    studio.store.move("later-1", "last")
    studio.queue.postpone("later-1", time.time() + 5000)
    studio.queue.delete("thrown-1")
    studio.queue.pause(True)
    return studio


def told(store: JobStore) -> list[dict[str, object]]:
    return sorted(store.rows(), key=lambda r: str(r["id"]))


def gone(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def overwritten(path: Path) -> None:
    path.write_bytes(b"not a database" * 400)


def torn(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[1000:] = os.urandom(len(data) - 1000)
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("harm", [gone, overwritten, torn, cut])
def test_whatever_happened_to_the_list_all_of_it_is_there_again(full: Studio, harm: Callable[[Path], None]) -> None:
    home, before, waiting = full.home, told(full.store), [j.id for j in full.store.waiting()]
    harm(home.database)
    harmed = home.database.read_bytes() if home.database.exists() else None
    assert "--repair" in damage(home)
    said = repair(home)
    assert said and all(s.endswith(".") for s in said)
    again = Studio(home)
    assert told(again.store) == before and set(before[0]) == set(COLUMNS)
    assert [j.id for j in again.store.waiting()] == waiting == ["first-1", "try-1", "last-1", "later-1"]
    assert again.store.paused and damage(home) == ""
    assert again.store.asked("key of first-1") == "first-1"
    assert [j.id for j in again.store.deleted()] == ["thrown-1"]
    again.queue.restore("thrown-1")
    if harmed is not None:
        assert [p.read_bytes() for p in home.backups.glob("*/studio.db")] == [harmed]


def test_a_damaged_list_is_a_sentence_that_names_the_repair(full: Studio) -> None:
    overwritten(full.home.database)
    gone(full.home.database.with_name("none"))
    with pytest.raises(StudioError, match="doctor --repair"):
        Studio(full.home)


def test_the_command_says_what_it_did(full: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    gone(full.home.database)
    assert main(["doctor", "--repair", "--json", "--home", str(full.home.root)]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])["repaired"]
    assert "The job list has 9 jobs, made anew from their folders." in answer and "There was no old list." in answer


def test_a_healthy_list_is_repaired_into_the_same(full: Studio) -> None:
    before = told(full.store)
    repair(full.home)
    repair(full.home)
    assert told(full.store) == before and len(list(full.home.backups.iterdir())) == 2


def test_what_only_the_list_knows_goes_into_the_files_first(full: Studio) -> None:
    before = told(full.store)
    for file in full.home.runs.glob("*/job.json"):
        file.unlink()
    said = repair(full.home)
    assert "8 jobs were only in the list" in said[0] and told(full.store) == before


def test_without_list_and_job_files_the_settings_and_events_tell(full: Studio) -> None:
    home = full.home
    for id, last in (("finished-0", {"type": "outcome", "state": "finished", "message": ""}),
                     ("stopped-2", {"type": "stage", "text": "Training"})):
        log = EventLog(home.runs / id)
        log({"type": "stage", "text": "Starting"})
        log(last)
    for file in home.root.rglob("job.json"):
        file.unlink()
    gone(home.database)
    repair(home)
    states = {j.id: (j.name, j.state) for j in Studio(home).jobs()}
    assert states["finished-0"] == ("finished", "finished")
    assert states["stopped-2"] == ("stopped", "interrupted") and states["first-1"] == ("first", "stopped")


def test_a_job_that_was_running_is_settled(full: Studio) -> None:
    full.queue.pause(False)
    running = full.store.claim()
    assert running is not None
    gone(full.home.database)
    repair(full.home)
    found = Studio(full.home).job(running.id)
    assert (found.state, found.pid) == ("interrupted", None)


def test_nothing_is_repaired_under_a_training(full: Studio) -> None:
    lock = FileLock(full.home.root / LOCK)
    assert lock.take()
    with pytest.raises(StudioError, match="training runs"):
        repair(full.home)
    lock.release()
    assert repair(full.home)


def test_left_over_temporary_files_go_and_fresh_ones_stay(full: Studio) -> None:
    old, new = full.home.adapters / ".abc.tmp", full.home.adapters / ".def.tmp"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    assert any("1 temporary files" in s for s in repair(full.home))
    assert not old.exists() and new.exists()


def test_a_file_that_cannot_be_written_leaves_the_list_as_it_was(full: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    before = told(full.store)

    def refused(row: dict[str, object]) -> None:
        raise StudioError("The disk is full.")

    monkeypatch.setattr(full.store._kept, "job", refused)
    with pytest.raises(StudioError, match="disk is full"):
        full.store.requeue("failed-1")
    assert told(full.store) == before


def test_each_persons_folder_is_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Home.open(str(tmp_path / "home"))
    hers = Studio(Home.open(str(home.people / "0a")))
    job(hers, "a-1")
    gone(hers.home.database)
    assert main(["doctor", "--home", str(home.root)]) == 0 and "1 jobs are in the files" in capsys.readouterr().out
    assert main(["doctor", "--repair", "--home", str(home.root)]) == 0
    assert "people/0a: " in capsys.readouterr().out
    assert [j.id for j in JobStore(hers.home.database).all()] == ["a-1"] and not damage(hers.home)
