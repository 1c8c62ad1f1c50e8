"""A painter that needs no model: what it was asked is in the pictures' colour and text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from PIL import Image

from app.painting.painter import Watch
from pipelines.image_file import UsedAdapter, save_png
from pipelines.ingredients import source_of
from pipelines.request import Request

STEPS = 3


class FakePainter:
    """In the place of the painting process; `hold` makes every picture endless until it is cancelled."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.hold = False
        self.checked = False
        """Whether the base brings a safety checker."""

    def paint(self, base: str, adapters: Sequence[tuple[Path, float, dict[str, str]]], request: dict[str, Any],
              files: Sequence[Path], *, offline: bool, watch: Watch | None, edit: Any = None,
              regions: Any = None) -> None:
        watch = watch or Watch(lambda done, total: None)
        self.asked.append({"base": base, "adapters": [(p.stem, s, d) for p, s, d in adapters], "request": request,
                           "edit": edit, "regions": regions})
        full = Request.model_validate(request)
        source = {"source": source_of(edit[0]).told()} if edit else {}  # as `Painter.paint_files` does
        if self.checked and watch.unseen:
            watch.unseen()
        step = 0
        while self.hold or step < STEPS:
            step += 1
            assert watch.progress
            watch.progress(step, max(step, STEPS))
            watch.check()
            time.sleep(0.002)
        settings = {"steps": 20, "guidance": 4.0, "sampler": "DDIM", "width": 64, "height": 64, "base": base,
                    **full.model_dump(exclude_none=True), **source}
        used = [UsedAdapter(p.stem, s, d) for p, s, d in adapters]
        for n, file in enumerate(files):
            picture = Image.new("RGB", (64, 64), ((full.seed * 40 + n) % 256, 90, 120))
            save_png(picture, file, {**settings, "seed": full.seed + n}, used)


def until(client: TestClient, id: str, *states: str) -> dict[str, Any]:
    """A painting once it is in one of the states."""
    for _ in range(2000):
        told: dict[str, Any] = client.get(f"/studio/images/paintings/{id}").json()
        if told["state"] in states:
            return told
        time.sleep(0.005)
    raise AssertionError(f"still {told}")


def begin(client: TestClient, prompt: str = "a cat", **body: Any) -> str:
    """Start a painting; fields of the request may be among the keywords."""
    fields = {k: body.pop(k) for k in list(body) if k in Request.model_fields}
    answer = client.post("/studio/images/paintings", json={"request": {"prompt": prompt, **fields}, **body})
    assert answer.status_code == 200, answer.text
    id: str = answer.json()["id"]
    return id


def made(client: TestClient, prompt: str = "a cat", **body: Any) -> dict[str, Any]:
    """A finished painting."""
    return until(client, begin(client, prompt, **body), "done", "failed")
