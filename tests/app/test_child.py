"""A child that ends says why: a full disk, too little memory, or something else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapters.errors import StudioError
from app.child import Child
from app.jobs.runs import DISK_FULL
from pipelines.shipped import REPOSITORY

_FULL = """
import errno, runpy, sys
class Full:
    def __iter__(self):
        raise OSError(errno.{error}, "refused")
sys.stdin = Full()
runpy.run_module("{module}", run_name="__main__")
"""


@pytest.mark.parametrize(("does", "said"), [
    (f"exit {DISK_FULL}", "The painter ended because the disk is full; free some space and try again."),
    ("kill -9 $$", "The painter was killed, most often because the memory was not enough; try a smaller size."),
    ("exit 1", "The painter ended unexpectedly (code 1); try again, and look at what the studio printed if it ends "
               "again.")])
def test_the_reason_is_told_from_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, said: str
                                            ) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    monkeypatch.setattr("app.child.sys.executable", str(script))
    with pytest.raises(StudioError) as error:
        Child("any", "The painter", "try a smaller size", greets=True).start()
    assert str(error.value) == said


@pytest.mark.parametrize(("module", "error", "code"), [
    ("app.painting.painter_child", "ENOSPC", DISK_FULL), ("app.concepts.looker_child", "ENOSPC", DISK_FULL),
    ("app.concepts.looker_child", "EDQUOT", DISK_FULL), ("app.concepts.looker_child", "EACCES", 1)])
def test_each_child_tells_a_full_disk(module: str, error: str, code: int) -> None:
    done = subprocess.run([sys.executable, "-c", _FULL.format(module=module, error=error)], cwd=REPOSITORY,
                          capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr[-500:]
