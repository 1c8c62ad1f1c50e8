"""The studio's side of the process that looks at pictures: masks of what is pointed at, captions, what a loss sees.

It is started when something is first asked and ends after a while without work, so that its memory is free again.
"""

from __future__ import annotations

import threading
from typing import Any

from adapters.errors import StudioError
from app.child import Child

IDLE = 300.0  # seconds without work after which its memory is given back


class LookerProcess:
    """One looking child; calls from many threads take turns."""

    def __init__(self, idle: float = IDLE) -> None:
        self.idle = idle
        self._lock = threading.Lock()
        self._child = Child("app.concepts.looker_child", "The process that looks at pictures",
                            "try again, or paint by hand")
        self._timer: threading.Timer | None = None

    def ask(self, verb: str, **told: Any) -> dict[str, Any]:
        """One question, one answer. Raises StudioError with what stood in the way."""
        with self._lock:
            self._rest()
            try:
                self._child.tell(verb=verb, **told)
                answer = self._child.read()
            finally:
                self._timer = threading.Timer(self.idle, self.close)
                self._timer.daemon = True
                self._timer.start()
        if "error" in answer:
            raise StudioError(str(answer["error"]))
        return answer

    def _rest(self) -> None:
        if self._timer:
            self._timer.cancel()

    def close(self) -> None:
        """End the child; the next question starts another."""
        with self._lock:
            self._rest()
            self._child.close()
