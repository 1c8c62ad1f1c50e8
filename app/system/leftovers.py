"""What a process that was killed left behind, copies of people's pictures among it, and nothing else looks after."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from app.concepts.drafts import READY
from app.home import Home
from app.jobs.allowed import SETTINGS
from app.jobs.job_files import FILE

_BEGAN = time.time()
_AT_LEAST = 30.0  # seconds that a file rests before it counts as cut off: another process may be about to name it
_KEPT = ("exports", "sources")  # for an hour and a day, by whoever made them
_LARGEST = 200 * 1024 * 1024  # bytes that a picture may have
_SHELVES = ("paintings", "uploads")  # what is in them is looked at one by one


def sweep(home: Home) -> int:
    """Take away temporary files from before this process, and folders of jobs that never came to be; how many.

    Nothing may be queued meanwhile (`Consents.held`): a job's folder is filled before it has settings.
    """
    gone = [*_scratch(home), *_made_ready(home), *_cut_off(home), *_unqueued(home)]
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(gone)


def loose_files(home: Home) -> Iterator[Path]:
    """Temporary files that may be copies of pictures."""
    for path in home.temporary.rglob("*"):
        kept = path.relative_to(home.temporary).parts[0] in _KEPT
        if not kept and path.is_file() and path.stat().st_size <= _LARGEST:
            yield path


def _scratch(home: Home) -> Iterator[Path]:
    for path in home.temporary.iterdir():
        for one in path.iterdir() if path.name in _SHELVES else [path]:
            # A `.stop` holds nothing, and the studio that it is for may run beside this process.
            if one.name not in _KEPT and one.suffix != ".stop" and _changed(one) < _BEGAN:
                yield one


def _made_ready(home: Home) -> Iterator[Path]:
    """Cropped copies of drafts' pictures, on their way to a job."""
    for folder in home.drafts.glob(f"*/{READY}*"):
        if _changed(folder) < _BEGAN:
            yield folder


def _cut_off(home: Home) -> Iterator[Path]:
    """Adapters and pictures that were being written, hidden as `write_atomic` hides them."""
    before = min(_BEGAN, time.time() - _AT_LEAST)
    for place in (home.adapters, home.images, home.drafts, home.trash):
        for path in place.rglob(".*.tmp"):
            if _changed(path) < before:
                yield path


def _changed(path: Path) -> float:
    """When a file, or the last one in a folder, was written."""
    try:
        return max(p.stat().st_mtime for p in (path, *path.rglob("*")))
    except FileNotFoundError:  # its owner was quicker
        return _BEGAN


def _unqueued(home: Home) -> Iterator[Path]:
    for folder in home.runs.iterdir():
        if folder.is_dir() and not any((folder / name).exists() for name in (*SETTINGS, FILE)):
            yield folder
