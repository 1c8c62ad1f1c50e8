"""A process beside the studio that answers lines of JSON, so that what takes memory can die without the studio."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from adapters.errors import StudioError
from adapters.files import is_full
from app.jobs.runs import DISK_FULL
from pipelines.shipped import REPOSITORY

_KILLED = -9  # by SIGKILL, as Linux ends what there is no memory for


def why_it_ended(who: str, code: int | None, advice: str) -> str:
    """The sentence for a process that ended without an answer; `advice` is for one that had too little memory."""
    if code == DISK_FULL:
        return f"{who} ended because the disk is full; free some space and try again."
    if code == _KILLED:
        return f"{who} was killed, most often because the memory was not enough; {advice}."
    return f"{who} ended unexpectedly (code {code}); try again, and look at what the studio printed if it ends again."


@contextlib.contextmanager
def telling_a_full_disk() -> Iterator[None]:
    """For a child's main: what a full disk refuses ends it with the code that says so."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        os._exit(DISK_FULL)  # at once: what is still to be written on the way out would change the code


class Child:
    """`python -m module`, started when it is first spoken to and again when it has died; one caller at a time."""

    def __init__(self, module: str, who: str, advice: str, greets: bool = False) -> None:
        """`who` it is and what to do where it has too little memory are said when it dies on a question. One that
        `greets` says a line once it is ready."""
        self.module, self.who, self.advice, self.greets = module, who, advice, greets
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
            raise StudioError(why_it_ended(self.who, process.wait() if process else None, self.advice))
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
