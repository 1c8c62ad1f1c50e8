"""Who has the device: a lock that the system takes back from a process however it ends, kill -9 and power cuts too."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from adapters.files import disk_error

if os.name == "nt":
    import msvcrt
else:
    import fcntl

LOCK = "device.lock"  # in the data folder
_PAUSE = 0.2  # seconds between two tries


class FileLock:
    """A file that one process holds at a time. Its content says nothing; it may lie there unheld."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    @property
    def handle(self) -> int:
        """The file descriptor while it is held: a child that keeps it open holds the lock too, except on Windows."""
        if self._file is None:
            raise ValueError("The lock is not held.")
        return self._file.fileno()

    def take(self) -> bool:
        """Hold it, unless another does. Raises StudioError when the file cannot be made."""
        try:
            file = self.path.open("ab")
        except OSError as error:
            raise disk_error(error, self.path) from error
        try:
            if os.name == "nt":
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Let go of it; nothing happens when it is not held."""
        if self._file:
            self._file.close()
        self._file = None


@contextlib.contextmanager
def the_device(home: Path, *, stop: Callable[[], bool], waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold the device of the data folder `home` for the block; True once it is held, False when `stop` came before.

    `waiting` is told once when another process has it, such as a training of the command line beside the queue.
    """
    lock, told = FileLock(home / LOCK), False
    while not lock.take():
        if stop():
            yield False
            return
        if not told:
            waiting()
            told = True
        time.sleep(_PAUSE)
    try:
        yield True
    finally:
        lock.release()
