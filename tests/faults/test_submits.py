"""Many clients that ask for the same things again and again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.studio import Studio
from tests.faults.conftest import Note


def test_50_clients_with_20_questions_each_sent_twice_get_each_done_once(studio: Studio, note: Note,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(images: Any, name: str, noun: str) -> Path:
        folder = studio.home.runs / f"{name}-{threading.get_ident()}-{time.monotonic_ns()}"
        folder.mkdir()
        return folder

    monkeypatch.setattr(studio, "prepare_run", prepare)

    def ask(client: int) -> list[str]:
        # Every question is asked by two clients, at about the same time.
        return [studio.start_training([], f"j{client // 2}-{n}", "cat", asked=f"{client // 2}-{n}") for n in range(20)]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert all(answers[n] == answers[n + 1] for n in range(0, 50, 2))
    ids = {id for part in answers for id in part}
    assert len(ids) == 500 and {j.id for j in studio.jobs()} == ids
    assert {f.name for f in studio.home.runs.iterdir()} == ids
    note(9, "50 clients with 20 submits each, every key sent twice", 1000, "500 jobs, each once, none lost")
