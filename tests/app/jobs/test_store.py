"""Jobs: each claimed once, one at a time, and closed once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.errors import StudioError
from app.jobs.store import JobStore


def test_oldest_job_is_claimed_first_and_only_one_runs(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "a.db")
    store.add("a-1", "a")
    store.add("b-1", "b")
    first = store.claim()
    assert first is not None and first.id == "a-1" and first.state == "running"
    assert store.claim() is None
    store.end("a-1", "finished")
    second = store.claim()
    assert second is not None and second.id == "b-1"


def test_many_claimers_get_each_job_once(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "a.db")
    for n in range(12):
        store.add(f"j-{n}", f"j{n}")

    def drain(_: int) -> list[str]:
        mine = []
        while any(j.state in ("queued", "running") for j in store.all()):
            if job := store.claim():
                mine.append(job.id)
                store.end(job.id, "finished")
        return mine

    with ThreadPoolExecutor(4) as pool:
        claimed = [id for part in pool.map(drain, range(4)) for id in part]
    assert sorted(claimed) == sorted(f"j-{n}" for n in range(12))


def test_a_closed_job_keeps_its_state(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "a.db")
    store.add("a-1", "a")
    store.claim()
    store.end("a-1", "stopped")
    store.end("a-1", "failed", "late")
    job = store.get("a-1")
    assert job is not None and (job.state, job.message) == ("stopped", "")


def test_only_one_notes_how_a_dead_run_ended(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "a.db")
    store.add("a-1", "a", running_in=123)
    assert [store.seize("a-1", 123) for _ in range(3)] == [True, False, False]


def test_a_waiting_or_running_name_is_taken_and_a_finished_one_is_not(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "a.db")
    store.add("a-1", "a")
    with pytest.raises(StudioError, match="waiting or running"):
        store.add("a-2", "A")
    store.claim()
    store.end("a-1", "finished")
    store.add("a-3", "a")


def test_a_job_that_was_claimed_is_not_cancelled(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "a.db")
    store.add("a-1", "a")
    store.claim()
    assert not store.cancel("a-1")


def test_an_unusable_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.db").mkdir()
    with pytest.raises(StudioError, match="job list"):
        JobStore(tmp_path / "a.db")


def test_only_unfinished_jobs_are_requeued(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "a.db")
    store.add("a-1", "a")
    assert not store.requeue("a-1")
    store.claim()
    store.end("a-1", "interrupted")
    assert store.requeue("a-1")


def test_a_second_store_on_the_same_file_sees_the_jobs(tmp_path: Path) -> None:
    JobStore(tmp_path / "a.db").add("a-1", "a")
    assert [j.id for j in JobStore(tmp_path / "a.db").all()] == ["a-1"]
