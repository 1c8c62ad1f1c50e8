"""Work that is done one after the other in an order that can still be changed while it waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from app.jobs.order import Turn, moved

T = TypeVar("T")


class Turns(Generic[T]):
    """One thread that does `work` with each thing that was added, the first in the line next."""

    def __init__(self, work: Callable[[T], None], name: str) -> None:
        self._work, self._line, self._lock = work, list[T](), threading.Lock()
        self._thread = ThreadPoolExecutor(1, name)

    def add(self, thing: T) -> None:
        """Put it at the end of the line."""
        with self._lock:
            self._line.append(thing)
        self._thread.submit(self._next)

    def waiting(self) -> list[T]:
        """The line, the next one first."""
        with self._lock:
            return list(self._line)

    def take_out(self, thing: T) -> bool:
        """Out of the line, or False when it is not in it (any more)."""
        with self._lock:
            if thing not in self._line:
                return False
            self._line.remove(thing)
            return True

    def move(self, thing: T, where: Turn) -> bool:
        """Change its turn by one or to an end, or False when it is not in the line (any more)."""
        with self._lock:
            if thing not in self._line:
                return False
            self._line = moved(self._line, thing, where)
            return True

    def close(self) -> None:
        """Take nothing more on; what is being done is not waited for."""
        with self._lock:
            self._line.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        with self._lock:
            thing = self._line.pop(0) if self._line else None
        if thing is not None:  # else it was taken out meanwhile
            self._work(thing)
