"""The studio knows a base's family before anything heavy is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from adapters.errors import StudioError
from adapters.identity import FAMILIES, BaseIdentity
from adapters.record import AdapterRecord
from adapters.studio_file import save
from adapters.tokens import TokensAdapter
from app.home import Home
from app.jobs import preparing
from app.studio import Studio
from pipelines.base_models.families import CONFIGS
from pipelines.methods.common import resolve

UNET = "model.diffusion_model."
FIRST, LARGE = (f"{UNET}input_blocks.{n}.1.transformer_blocks.0.attn2.to_k.weight" for n in (1, 4))


@pytest.fixture
def studio(tmp_path: Path) -> Any:
    made = Studio(Home.open(tmp_path / "home"), offline=True)
    yield made
    made.close()


def base(family: Any, form: str, folder: Path) -> str:
    if form == "file":
        shapes = {"sd1": (FIRST, 768), "sd2": (FIRST, 1024), "sdxl": (LARGE, 2048)}
        key, width = shapes[family]
        save_file({key: torch.zeros(8, width)}, folder / "a.safetensors")
        return str(folder / "a.safetensors")
    shutil.copytree(CONFIGS[family], folder / "base")
    save_file({"x": torch.zeros(1)}, folder / "base" / "unet" / "a.safetensors")
    return str(folder / "base")


@pytest.mark.parametrize("form", ["file", "folder"])
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_presets_are_resolved_for_the_bases_own_family(studio: Studio, tmp_path: Path, family: str, form: str,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(preparing, "resolve", lambda *a, **k: (seen.append(a[1]), resolve(*a, **k))[1])
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    folder = studio.prepare_run([tmp_path / "a.png"], "mycat", "cat", base=base(family, form, tmp_path))
    assert seen == [family] and (folder / "config.json").is_file()


def test_a_base_that_cannot_be_used_is_refused_before_a_run_is_made(studio: Studio, tmp_path: Path) -> None:
    save_file({f"{UNET}joint_blocks.0.x": torch.zeros(1)}, tmp_path / "sd3.safetensors")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    with pytest.raises(StudioError, match="a Stable Diffusion 3 model"):
        studio.prepare_run([tmp_path / "a.png"], "mycat", "cat", base=str(tmp_path / "sd3.safetensors"))
    assert not list(studio.home.runs.iterdir())


@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_sidecar_says_the_family_in_a1111s_words(studio: Studio, family: Any) -> None:
    record = AdapterRecord(kind="tokens", method="textual-inversion", name="mycat",
                           base=BaseIdentity(family=family, name="", hash=""), spec={"words": {"<mycat>": 1}})
    path = studio.library.folder / "mycat.safetensors"
    save(path, TokensAdapter({"<mycat>": [torch.zeros(1, 4)]}), record)
    studio.library.complete(path)
    said = json.loads(path.with_suffix(".json").read_text())["sd version"]
    assert said == {"sd1": "SD1", "sd2": "SD2", "sdxl": "SDXL", "starter": "Other"}[family]
