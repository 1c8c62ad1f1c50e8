"""Files that come over HTTP: on disk while they are looked at, gone afterwards."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from fastapi import UploadFile

from adapters.errors import StudioError
from adapters.files import disk_error
from app.home import Home
from app.http.body_limit import MOST

MAX_FILE = 200 << 20
FORM = MAX_FILE + MOST
"""Bytes of a request that brings one file, with what stands around it."""
_STALE = 86400  # seconds
AT_ONCE = threading.BoundedSemaphore(2)  # hundreds of MB each while decoded: many pictures take turns
T = TypeVar("T")


def received(home: Home, file: UploadFile, name: str, use: Callable[[Path], T]) -> T:
    """Call `use` with the uploaded file on disk, two at a time. Raises StudioError as `on_disk`."""
    with on_disk(home, file, name) as path, AT_ONCE:
        return use(path)


@contextlib.contextmanager
def on_disk(home: Home, file: UploadFile, name: str) -> Iterator[Path]:
    """The uploaded file on disk for the block. Raises StudioError when it is too large; others name it by `name`."""
    if (file.size or 0) > MAX_FILE:
        raise StudioError(f"'{name[:60]}' has more than {MAX_FILE >> 20} MB; make it smaller.")
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        path = Path(scratch) / f"upload{Path(name).suffix.lower()[:8]}"
        try:
            _keep(file, path)
            yield path
        except StudioError as error:
            raise type(error)(str(error).replace(path.name, name[:60])) from error


def spool_in(home: Home) -> None:
    """Have this process keep what is on its way in the data folder: nothing of a person is anywhere else.

    FastAPI and Gradio write uploads to Python's folder for temporary files, before we see them. What a crash left
    there more than a day ago goes.
    """
    folder = home.temporary / "spool"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if old.is_file() and time.time() - old.stat().st_mtime > _STALE:
                old.unlink()
    tempfile.tempdir = str(folder)


def _keep(file: UploadFile, path: Path) -> None:
    """Write what came to disk. Raises StudioError when it is full."""
    try:
        with path.open("wb") as out:
            shutil.copyfileobj(file.file, out)
    except OSError as error:
        raise disk_error(error, path) from error
