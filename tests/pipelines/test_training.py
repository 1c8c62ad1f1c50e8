"""What a run leaves in its folder besides what it learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adapters.record import read_record
from app.library.verifying import verify
from pipelines.denoising import NotFinite
from pipelines.generator import Generator
from pipelines.methods.common import resolve
from pipelines.run_config import RunConfig
from pipelines.training import PREVIEW_SEED, train_run
from tests.pipelines.tools import Watch, image


def test_a_trainings_previews_say_what_made_them_and_are_checked(tmp_path: Path) -> None:
    (tmp_path / "references").mkdir()
    image(side=128).save(tmp_path / "references" / "0.png")
    (tmp_path / "references" / "0.txt").write_text("a caption of my own")
    training = resolve("lora", "starter", steps=1, batch=1, rank=1, preview_every=1, preview_steps=1,
                       layers="attention", precision="fp32")
    RunConfig(name="mycat", class_noun="cat", base="starter", training=training).save(tmp_path)
    adapter = train_run(tmp_path, report=lambda event: None, control=Watch())
    assert adapter
    record = read_record(adapter)
    prompts = (f"a photo of a {record.phrase}", f"a photo of a {record.phrase} on the beach")
    for step in (0, 1):
        for number, prompt in enumerate(prompts):
            file = tmp_path / "previews" / f"step{step:08d}-{number}.png"
            found = verify(file)
            assert found["intact"] is True and found["made"]["base"] == "starter"
            assert (found["made"]["request"]["prompt"], found["made"]["request"]["seed"]) == (prompt, PREVIEW_SEED)
            assert found["made"]["adapters"] == [(f"mycat-step{step:08d}", 1.0, {})]
            with Image.open(file) as picture:
                assert json.loads(picture.info["semblance"])["base_hash"] == record.base.hash
            assert b"my own" not in file.read_bytes()


def test_a_preview_that_would_be_black_is_left_out_and_the_training_goes_on(tmp_path: Path,
                                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    paint, events = Generator.paint, list[dict[str, Any]]()

    def breaking(self: Generator, request: Any) -> Any:
        if "beach" in request.prompt:
            raise NotFinite("It would be black.")
        return paint(self, request)

    monkeypatch.setattr(Generator, "paint", breaking)
    (tmp_path / "references").mkdir()
    image(side=128).save(tmp_path / "references" / "0.png")
    training = resolve("lora", "starter", steps=1, batch=1, rank=1, preview_every=1, preview_steps=1,
                       layers="attention", precision="fp32")
    RunConfig(name="mycat", class_noun="cat", base="starter", training=training).save(tmp_path)
    assert train_run(tmp_path, report=events.append, control=Watch())
    assert [e["number"] for e in events if e["type"] == "preview"] == [0, 0]
    warned = [e["text"] for e in events if e["type"] == "warning"]
    assert [w.partition(" came")[0] for w in warned] == ["A preview at step 0", "A preview at step 1"]
