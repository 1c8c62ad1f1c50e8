"""Pictures over HTTP; what paints them is not started here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.studio import Studio


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the painting process would have been asked."""
    found: list[dict[str, Any]] = []

    def generate(self: Studio, request: dict[str, Any], **options: Any) -> list[Path]:
        found.append({"request": request, **options})
        return [self.home.images / f"20260101-000000-abcdef-{n}.png" for n in range(request.get("images", 1))]

    monkeypatch.setattr(Studio, "generate", generate)
    return found


def test_a_request_is_painted_with_its_adapters(client: TestClient, asked: list[dict[str, Any]]) -> None:
    answer = client.post("/studio/images", json={"request": {"prompt": "a cat", "seed": 3, "images": 2},
                                                 "adapters": ["mycat:0.8", "cup:1:bias=.5"]})
    assert answer.json() == {"images": [f"/studio/images/20260101-000000-abcdef-{n}.png" for n in range(2)]}
    assert asked == [{"request": {"prompt": "a cat", "seed": 3, "images": 2}, "base": "starter",
                      "adapters": [("mycat", 0.8, {}), ("cup", 1.0, {"bias": ".5"})]}]


@pytest.mark.parametrize(("request_", "adapters", "said"), [
    ({"prompt": "a", "file": "/etc/x"}, [], "no 'file'"), ({"prompt": "a", "images": 9999}, [], "1 to 64"),
    ({"prompt": "a", "images": "2"}, [], "1 to 64"), ({"prompt": "a"}, ["x:y"], "weight")])
def test_what_makes_no_sense_is_a_sentence_and_paints_nothing(
        client: TestClient, asked: list[dict[str, Any]], request_: dict[str, Any], adapters: list[str], said: str,
) -> None:
    answer = client.post("/studio/images", json={"request": request_, "adapters": adapters})
    assert answer.status_code == 400 and said in answer.json()["error"]
    assert not asked


def test_checkpoints_to_choose_are_those_of_trainings_alone(client: TestClient, studio: Studio) -> None:
    for kind in ("train", "preflight"):
        studio.store.add(f"my{kind}-1", f"my{kind}", kind=kind)
        folder = studio.home.runs / f"my{kind}-1" / "checkpoints"
        folder.mkdir(parents=True)
        (folder / f"my{kind}-step00000001.safetensors").touch()
    assert client.get("/studio/images/choices").json()["checkpoints"] == ["mytrain-step00000001"]
