"""The studio's side of the process that looks at pictures: masks of what is pointed at, captions, what a loss sees.

It is started when something is first asked and ends after a while without work, so that its memory is free again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

from adapters.errors import StudioError
from pipelines.shipped import REPOSITORY

IDLE = 300.0  # seconds without work after which its memory is given back


class LookerProcess:
    """One looking child; calls from many threads take turns."""

    def __init__(self, idle: float = IDLE) -> None:
        self.idle = idle
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._timer: threading.Timer | None = None

    def ask(self, verb: str, **told: Any) -> dict[str, Any]:
        """One question, one answer. Raises StudioError with what stood in the way."""
        with self._lock:
            self._rest()
            try:
                answer = self._answer(json.dumps({"verb": verb, **told}))
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

    def _answer(self, line: str) -> dict[str, Any]:
        child = self._child
        if child is None or child.poll() is not None:
            child = self._child = subprocess.Popen(
                [sys.executable, "-m", "app.concepts.looker_child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True, cwd=REPOSITORY, start_new_session=True)
        said = ""
        if child.stdin and child.stdout:
            try:
                print(line, file=child.stdin, flush=True)
                said = child.stdout.readline()
            except BrokenPipeError:
                said = ""
        if not said:
            self._child = None
            raise StudioError(f"The process that looks at pictures ended (code {child.wait()}), most often because the "
                              "memory was not enough; try again, or paint by hand.")
        found: dict[str, Any] = json.loads(said)
        return found

    def close(self) -> None:
        """End the child; the next question starts another."""
        with self._lock:
            self._rest()
            if self._child and self._child.poll() is None:
                self._child.terminate()
                self._child.wait(10)
            self._child = None
