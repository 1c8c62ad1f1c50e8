"""How much of the disk one person has taken, looked at before anything new comes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from app.errors import DiskQuota
from app.home import Home
from app.system.machine import parts

_FRESH = 10.0  # seconds that a look at all files counts


class DiskMeter:
    """The bytes of one data folder, those that are on their way counted as taken.

    What a job writes while it runs is seen afterwards: it is never broken off, so that nothing is lost.
    """

    def __init__(self, home: Home, most_gb: Callable[[], float]) -> None:
        self._home, self._most_gb = home, most_gb
        self._lock = threading.Lock()
        self._measured, self._when, self._since, self._coming = 0, 0.0, 0, 0

    def used(self) -> int:
        """Bytes, as they were at most ten seconds ago, with what has come since."""
        with self._lock:
            return self._used()

    def _used(self) -> int:
        if not self._when or time.monotonic() - self._when > _FRESH:
            self._measured, self._when, self._since = sum(p["bytes"] for p in parts(self._home)), time.monotonic(), 0
        return self._measured + self._since

    def forget(self) -> None:
        """Look at all files again the next time: much has gone."""
        with self._lock:
            self._when = 0.0

    @contextlib.contextmanager
    def admit(self, size: int) -> Iterator[None]:
        """Let `size` bytes come in. Raises DiskQuota when they, and what comes at the same time, are too many."""
        most = self._most_gb()
        with self._lock:
            used = self._used()
            if used >= most * 1e9 or used + self._coming + size > most * 1e9:
                raise DiskQuota(f"Your {most:g} GB are used up ({(used + self._coming) / 1e9:.2f} GB, and "
                                f"{size / 1e9:.2f} GB would come); delete something and empty the trash, or ask an "
                                "admin for more.")
            self._coming += size
        try:
            yield
        finally:
            with self._lock:
                self._coming -= size
                self._since += size
