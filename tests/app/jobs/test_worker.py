"""The process of a job: how it says what became of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from adapters.errors import StudioError
from app.home import Home
from app.jobs import worker
from app.jobs.runs import DISK_FULL, how_it_ended, read_events
from app.studio import Studio
from pipelines import preflight
from pipelines.shipped import REPOSITORY
from tests.pipelines.test_preflight import found


def _work(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "app.jobs.worker", str(folder)], cwd=REPOSITORY, text=True,
                          capture_output=True, timeout=120)


def test_a_run_without_settings_fails_with_a_sentence(tmp_path: Path) -> None:
    done = _work(tmp_path)
    assert done.returncode == 2
    outcome = read_events(tmp_path)[-1]
    assert outcome["state"] == "failed" and "no readable settings" in outcome["message"]


def test_a_preflight_writes_what_it_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs" / "a-1"
    folder.mkdir(parents=True)
    (tmp_path / "adapters").mkdir()
    monkeypatch.setattr(worker, "_end_when_asked", lambda *_: None)
    monkeypatch.setattr(worker, "step_back", lambda: None)
    monkeypatch.setattr(preflight, "measure", lambda folder, report, **_: found(file_bytes=7))
    monkeypatch.setattr(sys, "argv", ["worker", str(folder), "preflight"])
    assert worker.main() == 0
    assert read_events(folder)[-1]["state"] == "finished"
    told = json.loads((folder / "result.json").read_text("utf-8"))
    assert (told["file_bytes"], told["seconds"]) == (7, found().seconds) and told["says"].startswith("About ")


@pytest.mark.skipif(not os.access("/proc/self/autogroup", os.W_OK), reason="this kernel weighs no sessions")
@pytest.mark.parametrize("own", [True, False])
def test_a_worker_lets_others_go_first_and_no_one_else_with_it(own: bool) -> None:
    """Its own nice value says nothing to processes of other sessions."""
    code = ("from app.jobs.worker import step_back; told = lambda: open('/proc/self/autogroup').read() or 'none'; "
            "before = told(); step_back(); print(before.split()[-1], told().split()[-1])")
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, start_new_session=own, capture_output=True,
                          text=True, check=True)
    before, after = done.stdout.split()
    assert after == ("19" if own else before)


@pytest.mark.parametrize("fails", [False, True])
def test_what_was_painted_is_signed_at_the_end_and_the_work_counts_without(tmp_path: Path, fails: bool,
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs" / "a-1"
    folder.mkdir(parents=True)
    signed = []

    def sign(run: Path, home: Path) -> int:
        signed.append((run, home))
        if fails:
            raise StudioError("No key.")
        return 1

    monkeypatch.setattr(worker, "sign_all", sign)
    monkeypatch.setattr(worker, "step_back", lambda: None)
    monkeypatch.setitem(worker._WORK, "train", lambda folder, log: True)
    monkeypatch.setattr(sys, "argv", ["worker", str(folder)])
    assert worker.main() == 0 and signed == [(folder, tmp_path)]
    events = read_events(folder)
    assert events[-1]["state"] == "finished"
    assert [e["text"] for e in events if e["type"] == "warning"] == (["No key."] if fails else [])


@pytest.mark.parametrize("error", [ValueError("Cannot read a.png.\nmore"), KeyError("unet"), TypeError("no"),
                                   RuntimeError("size mismatch"), OSError(13, "Permission denied", "/secret/place")])
def test_a_fault_is_told_by_its_own_words_and_its_traceback_is_kept(
        tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    state, message = _failing(tmp_path, error, monkeypatch)
    said = "Permission denied" if isinstance(error, OSError) else str(error).splitlines()[0]
    assert state == "failed" and f"by a fault of the studio or of a library ({type(error).__name__}: {said})" in message
    assert "memory" not in message and "secret" not in message and "worker.log" in message
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize("error", [
    MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("[enforce fail] can't allocate memory")])
def test_too_little_memory_is_told_as_that(tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _failing(tmp_path, error, monkeypatch) == (
        "failed", "The memory was not enough; choose a smaller batch and resume.")


def _failing(home: Path, error: Exception, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """How a job is listed whose work raised `error`."""
    folder = home / "runs" / "a-1"
    folder.mkdir(parents=True)

    def work(*_: object) -> bool:
        raise error

    monkeypatch.setattr(worker, "step_back", lambda: None)
    monkeypatch.setitem(worker._WORK, "train", work)
    monkeypatch.setattr(sys, "argv", ["worker", str(folder)])
    assert worker.main() == 2
    return how_it_ended(folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_ends_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    done = _work(tmp_path)
    assert done.returncode == DISK_FULL
    assert "Traceback" not in done.stderr and "The disk is full" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_under_the_workers_log_too_leaves_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    with Path("/dev/full").open("wb") as log:
        done = subprocess.run([sys.executable, "-m", "app.jobs.worker", str(tmp_path)], cwd=REPOSITORY, stdout=log,
                              stderr=log, timeout=300, check=False)
    assert done.returncode == DISK_FULL


def test_a_run_that_died_without_a_word_is_interrupted_and_can_be_resumed(tmp_path: Path) -> None:
    studio = Studio(Home.open(str(tmp_path)))
    studio.store.add("a-1", "a")
    (studio.home.runs / "a-1").mkdir()
    studio.store.claim()
    studio.store.set_pid("a-1", 2**22 + 1)  # beyond any process
    studio.supervisor.start()
    try:
        job = studio.job("a-1")
        assert job.state == "interrupted" and "resume" in job.message
        assert studio.store.requeue("a-1")
    finally:
        studio.close()
