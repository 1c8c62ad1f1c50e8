"""Adapters as people write them, beside a prompt and inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adapters.errors import StudioError
from app.arguments import with_tags
from app.library import credentials
from app.studio import Studio
from app.verbs.cli import main
from pipelines.image_file import UsedAdapter, save_png


def test_tags_join_the_adapters_that_are_named_beside_the_prompt() -> None:
    found = with_tags("a cat <lora:hat:0.5> here", [("mycat", 1.0, {"bias": "1"})])
    assert found == ("a cat here", [("mycat", 1.0, {"bias": "1"}), ("hat", 0.5, {})])


@pytest.mark.parametrize("prompt", ["<lora:mycat:1>", "<lora:a:1> <lora:a:1>"])
def test_an_adapter_named_twice_is_refused(prompt: str) -> None:
    with pytest.raises(StudioError, match="is named twice"):
        with_tags(prompt, [("mycat", 1.0, {})])


def test_the_studio_takes_a_tags_adapter_from_the_library(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(studio.painter, "paint", lambda *a, **k: asked.append(a))
    monkeypatch.setattr(credentials, "sign", lambda picture, home: False)  # there is none
    with pytest.raises(StudioError, match="no adapter 'ghost'"):
        studio.generate({"prompt": "a cat <lora:ghost:0.5>"})
    assert not asked
    hat = studio.home.temporary / "hat.safetensors"
    hat.touch()
    monkeypatch.setattr(studio, "adapter_file", lambda name: hat)
    studio.generate({"prompt": "a (cat:1.2) <lora:hat:0.5>"})
    ((_, adapters, request, _),) = asked
    assert adapters == [(hat, 0.5, {})] and request == {"prompt": "a (cat:1.2)"}


def test_the_command_line_names_a_tags_missing_adapter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.png"
    assert main(["generate", "--home", str(tmp_path), "--prompt", "a <lora:ghost:1>", "--out", str(out)]) == 2
    assert "no adapter 'ghost'" in capsys.readouterr().err and not out.exists()


def test_a_trainings_checkpoint_is_an_adapter_by_its_files_name(studio: Studio) -> None:
    studio.store.add("20260101-run", "mycat")
    file = studio.home.runs / "20260101-run" / "checkpoints" / "mycat-step00000500.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    assert studio.adapter_file("mycat-step00000500") == file
    for name in ("mycat-step00000501", "other-step00000500", "mycat"):
        with pytest.raises(StudioError, match=f"no adapter '{name}'"):
            studio.adapter_file(name)


def test_the_command_line_says_how_a_picture_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"prompt": "a cat", "negative_prompt": "", "seed": 7, "steps": 9, "guidance": 4.5, "sampler": "DDIM",
                "width": 64, "height": 64, "base": "starter"}
    save_png(Image.new("RGB", (64, 64)), tmp_path / "x.png", settings, [UsedAdapter("hat", 0.8, {"bias": "1"})])
    assert main(["settings", str(tmp_path / "x.png")]) == 0
    said = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["seed", "7"] in said and ["adapter", "hat:0.8:bias=1"] in said and ["base", "starter"] in said
