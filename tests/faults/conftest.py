"""Faults are tried in short form, or in full with SEMBLANCE_FAULTS=full; what was tried is kept for docs/trust.md."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.home import Home
from app.http.server import create_app
from app.studio import Studio
from pipelines.shipped import REPOSITORY
from tests.pipelines.base_models import small

FULL = os.environ.get("SEMBLANCE_FAULTS") == "full"
KEPT = REPOSITORY / "test-artifacts" / "faults.jsonl"

Note = Callable[..., None]


@pytest.fixture
def note() -> Note:
    """Keep what was tried: `note(row, fault, tried, held)`, `row` of the table of faults."""
    def keep(row: int, fault: str, tried: int, held: str) -> None:
        print(f"fault {row}: {fault}: {tried} tried; {held}")
        KEPT.parent.mkdir(exist_ok=True)
        with KEPT.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"row": row, "fault": fault, "tried": tried, "held": held}) + "\n")

    return keep


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of the layout of Stable Diffusion 2 with few channels and random weights, as a folder."""
    place = tmp_path_factory.mktemp("base")
    small.pipeline("sd2", small.configurations(place / "configured", "sd2")).save_pretrained(place / "base")
    return place / "base"


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(Home.open(str(tmp_path / "home")))


@pytest.fixture
def client(studio: Studio) -> TestClient:
    # A server error is an answer here, not an exception: that there is none is what is tested.
    return TestClient(create_app(studio, ["127.0.0.1"]), base_url="http://127.0.0.1", raise_server_exceptions=False)
