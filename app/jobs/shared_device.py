"""Whose turn it is on the device where several people have a queue each: one job at a time, people in turns."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from app.jobs.device import FileLock

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
        lock = FileLock(self._path)
        while not (taken := lock.take()) and not given_up():
            time.sleep(_LOOK)
        try:
            yield lock.handle if taken else None
        finally:
            lock.release()
