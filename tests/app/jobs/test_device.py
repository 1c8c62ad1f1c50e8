"""The device is one process's at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from adapters.errors import StudioError
from app.jobs.device import LOCK, FileLock, the_device
from pipelines.shipped import REPOSITORY

HOLD = ("import sys, time; from pathlib import Path; from app.jobs.device import FileLock; "
        "lock = FileLock(Path(sys.argv[1])); assert lock.take(); print('held', flush=True); time.sleep(600)")


def never() -> bool:
    return False


def test_a_killed_process_gives_the_lock_back(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / LOCK)], stdout=subprocess.PIPE, text=True,
                              cwd=REPOSITORY)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    lock = FileLock(tmp_path / LOCK)
    assert not lock.take()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert lock.take()
    lock.release()


def test_who_waits_is_told_once_and_gets_it_when_it_is_free(tmp_path: Path) -> None:
    lock, told, held = FileLock(tmp_path / LOCK), list[str](), threading.Event()
    assert lock.take()

    def wait() -> None:
        with the_device(tmp_path, stop=never, waiting=lambda: told.append("waits")) as mine:
            assert mine and not FileLock(tmp_path / LOCK).take()
            held.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not held.wait(0.6) and told == ["waits"]
    lock.release()
    assert held.wait(20)
    thread.join()
    assert told == ["waits"] and lock.take()
    lock.release()


def test_who_waits_can_be_stopped(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / LOCK)
    assert lock.take()
    with the_device(tmp_path, stop=lambda: True, waiting=lambda: None) as held:
        assert held is False
    lock.release()


def test_a_data_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="could not be written"):
        FileLock(tmp_path / "none" / LOCK).take()
