"""A program of Gradio's own client at the door: with a token it gets in, without it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client

from app.accounts.people import People
from app.http.server import create_shared_app
from tests.app.listening import listening
from tests.app.people import two_people


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, People]]:
    """The address of a real server, and who is on it."""
    people = two_people(tmp_path / "home", monkeypatch)
    with listening(create_shared_app(people, ["127.0.0.1"])) as address:
        yield address, people


def test_gradios_client_gets_in_with_a_token_alone(served: tuple[str, People]) -> None:
    address, people = served
    header = {"Authorization": f"Bearer {people.register.sessions.token('bob')}"}
    client = Client(address, headers=header, verbose=False, httpx_kwargs={"timeout": 120})
    try:
        assert client.view_api(return_format="dict") == {"named_endpoints": {}, "unnamed_endpoints": {}}
    finally:
        client.close()
    assert httpx.get(f"{address}/studio/account", headers=header, timeout=120).json()["name"] == "bob"
    with pytest.raises(Exception):  # noqa: B017 - whatever it makes of a 401
        Client(address, verbose=False, httpx_kwargs={"timeout": 120})
