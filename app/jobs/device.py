"""Whose turn it is on the device where several people have a queue each: one job at a time, people in turns."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from adapters.errors import StudioError

_LOOK = 0.2  # seconds between two looks at a lock that another process has


class Device:
    """First come, first served, so that somebody with a hundred jobs waits after each of them like all others.

    The file is locked too, by the job's own process as well: where the studio was killed, the next one waits until
    what it had started is gone.
    """

    def __init__(self, lock: Path) -> None:
        self._path = lock
        self._tickets: deque[object] = deque()
        self._changed = threading.Condition()
        self.holder = ""
        """The id of who has the device now, '' for nobody."""

    @contextlib.contextmanager
    def turn(self, who: str, given_up: Callable[[], bool]) -> Iterator[int | None]:
        """Wait for the device and have it: a file descriptor for the process to keep open, or None when given up."""
        ticket = object()
        with self._changed:
            self._tickets.append(ticket)
        try:
            with self._changed:
                while self._tickets[0] is not ticket and not given_up():
                    self._changed.wait(_LOOK)
                first = self._tickets[0] is ticket
            if not first or given_up():
                yield None
                return
            with self._locked(given_up) as handle:
                self.holder = who if handle is not None else ""
                yield handle
        finally:
            with self._changed:
                if self._tickets and self._tickets[0] is ticket:
                    self.holder = ""
                self._tickets.remove(ticket)
                self._changed.notify_all()

    @contextlib.contextmanager
    def _locked(self, given_up: Callable[[], bool]) -> Iterator[int | None]:
        try:
            handle = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise StudioError(f"The device's lock '{self._path}' cannot be opened ({error.strerror}); check the rights "
                              "of the data folder.") from error
        try:
            while not (taken := _lock(handle)) and not given_up():
                time.sleep(_LOOK)
            yield handle if taken else None
        finally:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Lock an open file for as long as anybody has it open; where there is no such lock, this process's turns count."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
