"""Names in the library that are held while their adapters are written: by a lock that the system takes back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from app.jobs.device import FileLock


@contextlib.contextmanager
def claimed(folder: Path, name: str) -> Iterator[None]:
    """Hold a name in `folder` for the block; names that differ in case alone are the same.

    It is free again however the block or its process ends. Raises FileExistsError when another has it, in this
    process or any other.
    """
    path = _place(folder, name)
    lock = FileLock(path)
    if not lock.take():
        raise FileExistsError(path)
    try:
        if not _is_at(path, lock.handle):  # it was taken away between opening and locking it
            raise FileExistsError(path)
        try:
            yield
        finally:
            with contextlib.suppress(PermissionError):  # Windows takes no open file away; it may lie there unheld
                path.unlink(missing_ok=True)
    finally:
        lock.release()


def is_claimed(folder: Path, name: str) -> bool:
    """Whether another holds a name; what a killed process left of its claim goes."""
    if not _place(folder, name).exists():
        return False
    try:
        with claimed(folder, name):
            return False
    except FileExistsError:
        return True


def _place(folder: Path, name: str) -> Path:
    """Named as the temporary files of `write_atomic`, so that `sweep` takes it away too."""
    return folder / f".{name.lower()}.claim.tmp"


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
