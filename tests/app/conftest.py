"""A studio on a fresh data folder and a client of it; a server of its own and a browser, for the slow tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from app.home import Home
from app.http.server import create_api, create_app
from app.studio import Studio
from tests.app.tools import FakePainter

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.app.browser import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from tests.app.browser import serving  # playwright is for the slow tests alone

    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def page(server: Server) -> Iterator[Page]:
    from tests.app.browser import browsing

    with browsing(server) as opened:
        yield opened


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(Home.open(str(tmp_path / "home")))


@pytest.fixture
def painter(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePainter]:
    """In the place of the studio's painting process; every adapter that is named is there."""
    def there(name: str) -> Path:
        path = studio.home.temporary / f"{name}.safetensors"
        path.touch()
        return path

    fake = FakePainter()
    monkeypatch.setattr(studio.painter, "paint", fake.paint)
    monkeypatch.setattr(studio, "adapter_file", there)
    yield fake
    studio.paintings.close()  # what waits still would be painted by the real one
    fake.hold = False


@pytest.fixture
def client(studio: Studio) -> TestClient:
    # Without entering the client, the supervisor does not start: nothing is trained.
    return TestClient(create_api(studio, ["127.0.0.1"]), base_url="http://127.0.0.1")


@pytest.fixture
def whole(studio: Studio) -> TestClient:
    """A client of the page too, which takes longest to be made."""
    return TestClient(create_app(studio, ["127.0.0.1"]), base_url="http://127.0.0.1")
