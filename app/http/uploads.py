"""Files that come over HTTP: on disk while they are looked at, gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fastapi import UploadFile

from adapters.errors import StudioError
from adapters.files import disk_error
from app.home import Home

MAX_FILE = 200 * 1024 * 1024
T = TypeVar("T")


def received(home: Home, file: UploadFile, name: str, use: Callable[[Path], T]) -> T:
    """Call `use` with the uploaded file on disk. Raises StudioError when it is too large; others name it by `name`."""
    if (file.size or 0) > MAX_FILE:
        raise StudioError(f"'{name[:60]}' has more than {MAX_FILE >> 20} MB; make it smaller.")
    with tempfile.TemporaryDirectory(dir=home.temporary) as scratch:
        path = Path(scratch) / f"upload{Path(name).suffix.lower()[:8]}"
        try:
            _keep(file, path)
            return use(path)
        except StudioError as error:
            raise type(error)(str(error).replace(path.name, name[:60])) from error


def _keep(file: UploadFile, path: Path) -> None:
    """Write what came to disk. Raises StudioError when it is full."""
    try:
        with path.open("wb") as out:
            shutil.copyfileobj(file.file, out)
    except OSError as error:
        raise disk_error(error, path) from error
