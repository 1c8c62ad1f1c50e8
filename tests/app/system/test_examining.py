"""Looking at the machine takes a process with torch: one at a time, and what it found counts for a while."""

from __future__ import annotations

import subprocess
import threading
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from adapters.errors import StudioError
from app.home import Home
from app.studio import Studio
from app.system import examining
from app.system.examining import Examiner


class Doctor:
    """In the place of the process; counts how often it was started, and how many were at the same time."""

    def __init__(self) -> None:
        self.started = self.now = self.most = self.code = 0
        self._lock = threading.Lock()

    def __call__(self, *_: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        with self._lock:
            self.started, self.now = self.started + 1, self.now + 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self._lock:
            self.now -= 1
        return subprocess.CompletedProcess([], self.code, f'noise\n{{"device": "cpu", "n": {self.started}}}\n', "")


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch) -> Doctor:
    fake = Doctor()
    monkeypatch.setattr(examining.subprocess, "run", fake)
    return fake


def test_what_was_found_counts_for_a_minute(client: TestClient, studio: Studio, doctor: Doctor,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    told = [client.get("/studio/system/device").json() for _ in range(3)]
    assert told == [{"device": "cpu", "n": 1}] * 3
    monkeypatch.setattr(examining, "FRESH", -1)
    assert client.get("/studio/system/device").json()["n"] == 2


def test_many_who_ask_start_one_at_a_time(studio: Studio, doctor: Doctor) -> None:
    two = studio.examiner, Examiner(Home(studio.home.root / "another"))
    threads = [threading.Thread(target=two[n % 2].look) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (doctor.started, doctor.most) == (2, 1)


def test_a_failure_is_not_kept(studio: Studio, doctor: Doctor) -> None:
    doctor.code = 1
    with pytest.raises(StudioError, match="could not be examined"):
        studio.examiner.look()
    doctor.code = 0
    assert studio.examiner.look()["device"] == "cpu"
