"""From a picture, and a second pass: as the stock pipelines do it, from the same seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from pipelines.editing import Edit
from pipelines.encode import encode_images
from pipelines.generator import Generator, Painted, Request
from tests.pipelines.test_editing import eight_channels
from tests.pipelines.tools import image, mask

REQUEST = Request(prompt="a cat", seed=3, steps=4, guidance=2.0)
MIDDLE = mask((8, 8, 20, 24))


def paint(host: Host, edit: Edit | None = None, start: Image.Image | None = None, **changes: object) -> Painted:
    return Generator(host).paint(REQUEST.model_copy(update=changes), edit=edit, start=start)


def pixels(painted: Painted) -> np.ndarray[Any, Any]:
    return np.array(painted.images[0])


@pytest.mark.parametrize("sampler", [None, "Euler", "Heun"])
@pytest.mark.parametrize("strength", [0.3, 0.75, 1.0])
def test_it_is_the_stock_pipelines_picture_of_the_same_latents(host: Host, sampler: str | None,
                                                               strength: float) -> None:
    generator = Generator(host)
    ours = generator.paint(REQUEST.model_copy(update={"strength": strength, "sampler": sampler}), start=image())
    parts = {**generator.pipeline.components}
    if sampler:
        from pipelines.samplers import build_sampler

        parts["scheduler"] = build_sampler(generator.pipeline.scheduler, sampler)
    stock = StableDiffusionImg2ImgPipeline(**parts, requires_safety_checker=False)
    theirs = stock("a cat", image=encode_images(host, [image()]), strength=strength, num_inference_steps=4,
                   guidance_scale=2.0, generator=torch.Generator().manual_seed(3)).images[0]
    assert np.array_equal(pixels(ours), np.array(theirs))


def test_eight_channels_are_latents_too(host: Host) -> None:
    found = paint(eight_channels(host), start=image(), strength=0.5)
    assert found.images[0].size == (32, 32) and pixels(found).std() > 0


def test_less_strength_stays_nearer_to_the_picture(host: Host) -> None:
    """By what the autoencoder itself makes of it."""
    own = np.array(Generator(host).pipeline.image_processor.postprocess(
        host.decode(encode_images(host, [image()])), output_type="pil")[0]).astype(float)
    far = [float(np.abs(pixels(paint(host, start=image(), strength=s)) - own).mean()) for s in (0.25, 1.0)]
    assert 0 < far[0] < far[1]


def test_a_picture_is_painted_in_its_own_shape_and_says_its_strength(host: Host) -> None:
    found = paint(host, start=image().resize((90, 45)))
    width, height = found.images[0].size
    assert (width, height) == (40, 24) and (found.settings["width"], found.settings["strength"]) == (width, 0.75)


def test_inside_a_mask_a_strength_keeps_the_outside_and_some_of_the_inside(host: Host) -> None:
    edit, inside = Edit(image(), MIDDLE), np.array(MIDDLE) == 255
    soft, full = pixels(paint(host, edit, strength=0.5)), pixels(paint(host, edit))
    assert np.array_equal(soft[~inside], np.array(image())[~inside]) and not np.array_equal(soft, full)


def test_a_second_pass_is_the_first_picture_enlarged_and_painted_anew(host: Host) -> None:
    seen: list[tuple[int, int]] = []
    request = REQUEST.model_copy(update={"upscale": 2.0, "upscale_strength": 0.5, "images": 2})
    found = Generator(host).paint(request, lambda *at: seen.append(at))
    assert seen == [(n, 12) for n in range(1, 13)]  # twice four steps and half of four
    assert found.images[0].size == (64, 64)
    assert (found.settings["width"], found.settings["upscale"]) == (32, 2.0)
    for n, seed in enumerate((3, 4)):
        first = paint(host, seed=seed).images[0].resize((64, 64), Image.Resampling.LANCZOS)
        again = paint(host, start=first, seed=seed, strength=0.5, width=64, height=64)
        assert np.array_equal(np.array(found.images[n]), pixels(again))


@pytest.mark.parametrize(("changes", "given", "said"), [
    ({"strength": 0.5}, None, "give a picture too"), ({"strength": 0.1}, "start", "none of 4 steps"),
    ({"upscale": 2.0}, "edit", "keeps its size"), ({"upscale": 4.0, "width": 2048}, None, "enlarge by less")])
def test_what_cannot_go_together_is_one_sentence(host: Host, changes: dict[str, Any], given: str | None,
                                                 said: str) -> None:
    with pytest.raises(StudioError, match=said):
        paint(host, Edit(image(), MIDDLE) if given == "edit" else None, image() if given == "start" else None,
              **changes)


def test_previews_are_small_and_change_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.denoising._PREVIEW_EVERY", 0)
    shown: list[Image.Image] = []
    big = {"width": 256, "height": 128, "sampler": "Euler"}
    found = Generator(host).paint(REQUEST.model_copy(update=big), preview=shown.append)
    assert [p.size for p in shown] == [(128, 64)] * 3  # after each step but the last, of 32 latents
    assert np.array_equal(pixels(found), pixels(paint(host, **big)))
