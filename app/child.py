"""A process beside the studio that answers lines of JSON, so that what takes memory can die without the studio."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import Any

from adapters.errors import StudioError
from pipelines.shipped import REPOSITORY


class Child:
    """`python -m module`, started when it is first spoken to and again when it has died; one caller at a time."""

    def __init__(self, module: str, ended: str, greets: bool = False) -> None:
        """`ended` is said when it dies on a question: a sentence with room for its exit code. One that `greets`
        says a line once it is ready."""
        self.module, self.ended, self.greets = module, ended, greets
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it, unless it runs; waits for its greeting."""
        if self.pid is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                cwd=REPOSITORY, start_new_session=True)
            if self.greets:
                self.read()

    def tell(self, **question: Any) -> None:
        """Send a line; one that died meanwhile is noticed at `read`."""
        self.start()
        if self._process:
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps(question), file=self._process.stdin, flush=True)

    def read(self) -> dict[str, Any]:
        """Its next line. Raises StudioError when it ended instead."""
        process = self._process
        line = process.stdout.readline() if process and process.stdout else ""
        if not line:
            self._process = None
            raise StudioError(self.ended.format(process.wait() if process else "unknown"))
        said: dict[str, Any] = json.loads(line)
        return said

    def close(self) -> None:
        """End it; the next question starts another."""
        if self._process and self.pid is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process = None
