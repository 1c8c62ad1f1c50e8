"""The machine and the studio's switches over HTTP."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from adapters.errors import StudioError
from app.home import Home
from app.studio import Studio


def test_the_machine_says_memory_disk_and_how_large_the_parts_are(client: TestClient, studio: Studio) -> None:
    (studio.home.images / "sub").mkdir()
    (studio.home.images / "sub" / "a.png").write_bytes(b"x" * 1000)
    (studio.home.images / "b.png").write_bytes(b"x" * 500)
    found = client.get("/studio/system").json()
    parts = {p["name"]: p["bytes"] for p in found["parts"]}
    assert parts["images"] == 1500 and parts["adapters"] == 0
    assert 0 < found["disk"]["free"] <= found["disk"]["total"]
    assert 0 < found["memory"]["free"] <= found["memory"]["total"]
    assert found["home"] == str(studio.home.root) and found["missing"] == [] and "torch" in found["versions"]


def test_the_offline_switch_is_kept_on_disk(client: TestClient, studio: Studio) -> None:
    assert client.get("/studio/system").json()["offline"] is False
    client.patch("/studio/system", json={"offline": True})
    assert studio.offline and Studio(studio.home).offline
    client.patch("/studio/system", json={"offline": False})
    assert not studio.offline and not Studio(studio.home).offline
    assert client.patch("/studio/system", json={"offline": "no"}).status_code == 422


def test_a_studio_that_was_started_offline_stays_so(studio: Studio) -> None:
    started = Studio(studio.home, offline=True)
    with pytest.raises(StudioError, match="started with --offline"):
        started.set_offline(False)
    assert started.offline and not started.preferences.offline


@pytest.mark.parametrize("text", ["{half", '{"offline": "yes"}', "[]"])
def test_damaged_settings_are_a_sentence(studio: Studio, text: str) -> None:
    studio.home.preferences.write_text(text, "utf-8")
    with pytest.raises(StudioError, match="damaged"):
        Studio(Home.open(str(studio.home.root)))
