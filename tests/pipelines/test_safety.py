"""The safety checker of a base that has one: read from its folder, asked for every picture, told in the file."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessorPil

from adapters.errors import StudioError
from adapters.host import Host
from app.library.verifying import verify
from pipelines import denoising
from pipelines.base_models.safety import SafetyChecker, safety_checker
from pipelines.class_images import paint_class_images
from pipelines.generator import Generator
from pipelines.painter import Painter
from pipelines.request import Request
from tests.pipelines.tools import image

REQUEST = Request(prompt="a cat", seed=3, steps=1, images=2)


def with_checker(folder: Path, threshold: float) -> Path:
    """A small checker that withholds what is nearer to a concept than the threshold: -2 everything, 2 nothing."""
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 16, "projection_dim": 8}
    model = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=8))
    model.concept_embeds_weights.data.fill_(threshold)
    model.special_care_embeds_weights.data.fill_(2)
    model.concept_embeds.data.copy_(torch.randn_like(model.concept_embeds))
    model.save_pretrained(folder / "safety_checker")
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder / "feature_extractor")
    return folder


@pytest.mark.parametrize(("threshold", "withheld"), [(-2.0, True), (2.0, False)])
def test_the_bases_own_checker_is_read_and_asked(tmp_path: Path, threshold: float, withheld: bool) -> None:
    checker = safety_checker(with_checker(tmp_path, threshold), "mybase")
    assert checker is not None and checker(image()) is withheld


def test_a_base_without_one_has_none_and_one_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    assert safety_checker(tmp_path, "mybase") is None
    folder = with_checker(tmp_path, 2.0)
    (folder / "safety_checker" / "model.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(StudioError, match=r"safety checker in .* cannot be read"):
        SafetyChecker(folder)(image())


@pytest.mark.parametrize("left", [["pytorch_model.bin"], []])
def test_a_checker_that_is_a_pickle_or_without_weights_is_refused_and_never_left_out(tmp_path: Path,
                                                                                     left: list[str]) -> None:
    place = with_checker(tmp_path, 2.0) / "safety_checker"
    (place / "model.safetensors").unlink()
    for name in left:
        torch.save({"a": Opened()}, place / name)
    with pytest.raises(StudioError, match=r"the base 'mybase' should be there as \.safetensors.*convert") as refused:
        safety_checker(tmp_path, "mybase")
    assert all(name in str(refused.value) for name in ("config.json", *left)) and not Opened.times


class Opened:
    """Counts how often it is unpickled."""

    times = 0

    def __setstate__(self, state: object) -> None:
        Opened.times += 1


def test_a_checker_without_what_prepares_its_pictures_is_refused(tmp_path: Path) -> None:
    shutil.rmtree(with_checker(tmp_path, 2.0) / "feature_extractor")
    with pytest.raises(StudioError, match="'mybase' needs the folder 'feature_extractor'"):
        safety_checker(tmp_path, "mybase")


@pytest.mark.parametrize("checked", [False, True])
def test_no_live_preview_goes_around_a_checker(host: Host, monkeypatch: pytest.MonkeyPatch, checked: bool) -> None:
    monkeypatch.setattr(denoising, "_PREVIEW_EVERY", 0.0)
    host.safety = (lambda _: False) if checked else None
    shown: list[Image.Image] = []
    Generator(host).paint(Request(prompt="a cat", steps=3), preview=shown.append)
    assert bool(shown) is not checked
    painter = Painter("cpu")
    painter._base = ("tiny", Generator(host))
    assert painter.checked("tiny", offline=True) is checked


def test_what_is_withheld_is_black_and_every_file_tells_what_was_done(host: Host, tmp_path: Path) -> None:
    verdicts = iter([False, True])
    host.safety = lambda _: next(verdicts)
    painter = Painter("cpu")
    painter._base = ("tiny", Generator(host))
    files = [tmp_path / "0.png", tmp_path / "1.png"]
    painter.paint_files("tiny", [], REQUEST, files)
    passed, withheld = (np.array(Image.open(f)) for f in files)
    assert passed.std() > 0 and withheld.shape == passed.shape and not withheld.any()
    assert [verify(f)["made"]["safety"] for f in files] == ["passed", "withheld"]
    assert "The base's safety checker withheld this picture." in verify(files[1])["made"]["notices"]
    assert "The base's safety checker withheld this picture." not in verify(files[0])["made"]["notices"]


def test_without_a_checker_the_file_says_so(host: Host, tmp_path: Path) -> None:
    painter = Painter("cpu")
    painter._base = ("tiny", Generator(host))
    painter.paint_files("tiny", [], Request(prompt="a cat", steps=1), [tmp_path / "x.png"])
    assert verify(tmp_path / "x.png")["made"]["safety"] == "none"


def test_no_class_image_is_a_withheld_one(host: Host) -> None:
    asked = SimpleNamespace(count=0)

    def first_withheld(_: Image.Image) -> bool:
        asked.count += 1
        return asked.count == 1

    host.safety = first_withheld
    images = paint_class_images(host, "cat", 2, None, lambda _: None)
    assert asked.count == 3 and all(np.array(i).std() > 0 for i in images)
    host.safety = lambda _: True
    with pytest.raises(StudioError, match="withheld 5 pictures of 'cat' in a row"):
        paint_class_images(host, "cat", 1, None, lambda _: None)
