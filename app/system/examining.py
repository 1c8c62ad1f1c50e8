"""What `doctor` finds, asked in a process of its own: this one stays without torch."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

from adapters.errors import StudioError
from app.home import Home
from pipelines.shipped import REPOSITORY

FRESH = 60.0  # seconds
_ONE = threading.Lock()  # each such process takes torch's memory and seconds of all cores: one at a time, whoever asks


class Examiner:
    """Looks at the machine and a data folder; what it found counts for a minute, however often it is asked."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._found: dict[str, Any] = {}
        self._when = 0.0

    def look(self) -> dict[str, Any]:
        """What it finds. Raises StudioError when it finds nothing out."""
        with _ONE:
            if not self._found or time.monotonic() - self._when > FRESH:
                self._found, self._when = self._asked(), time.monotonic()
            return self._found

    def _asked(self) -> dict[str, Any]:
        done = subprocess.run([sys.executable, "-m", "app", "doctor", "--json", "--home", str(self._home.root)],
                              capture_output=True, text=True, check=False, cwd=REPOSITORY)
        if done.returncode:
            raise StudioError("The machine could not be examined; run 'python -m app doctor'.")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found
