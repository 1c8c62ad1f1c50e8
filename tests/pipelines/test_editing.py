"""Blended editing: what the mask keeps is kept to the last bit, what it opens is painted as ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
)
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from app.verbs.cli import main
from pipelines.editing import Blend, Edit
from pipelines.encode import encode_images
from pipelines.generator import Generator, Request
from pipelines.painter import Painter
from tests.pipelines.tools import image, mask

SIDE = 32  # the tiny base's own
REQUEST = Request(prompt="a photo of a cat", seed=3, steps=3, guidance=2.0)
WHITE, BLACK = (Image.new("L", (SIDE, SIDE), v) for v in (255, 0))
MIDDLE = mask((8, 8, 20, 24))
SCHEDULERS = [DDIMScheduler, PNDMScheduler, EulerDiscreteScheduler, EulerAncestralDiscreteScheduler,
              DPMSolverMultistepScheduler]


def paint(host: Host, edit: Edit | None, request: Request = REQUEST) -> list[np.ndarray]:
    return [np.array(i) for i in Generator(host).paint(request, edit=edit).images]


def eight_channels(host: Host) -> Host:
    """The same base with latents of 8 channels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet2DConditionModel.from_config(host.unet.config, in_channels=8, out_channels=8)
        vae = AutoencoderKL.from_config(host.vae.config, latent_channels=8)
    return Host(host.identity, {**host.components, "unet": unet}, host.tokenizer, vae, host.scheduler)


def with_scheduler(host: Host, kind: Any) -> Host:
    host.scheduler = kind.from_config(host.scheduler.config, skip_prk_steps=True)  # as Stable Diffusion has PNDM
    return host


@pytest.mark.parametrize("channels", [4, 8])
def test_outside_the_mask_every_bit_is_the_pictures_and_inside_it_is_painted(host: Host, channels: int) -> None:
    host = host if channels == 4 else eight_channels(host)
    assert host.unet.config.in_channels == channels
    found = paint(host, Edit(image(), MIDDLE))[0]
    inside = np.array(MIDDLE) == 255
    assert np.array_equal(found[~inside], np.array(image())[~inside])
    assert (found[inside] != np.array(image())[inside]).any(-1).mean() > 0.9


@pytest.mark.parametrize("channels", [4, 8])
@pytest.mark.parametrize("kind", SCHEDULERS)
def test_a_white_mask_is_plain_painting(host: Host, kind: Any, channels: int) -> None:
    host = with_scheduler(host if channels == 4 else eight_channels(host), kind)
    assert np.array_equal(paint(host, Edit(image(), WHITE))[0], paint(host, None)[0])


def test_a_black_mask_returns_the_picture_whatever_its_size(host: Host) -> None:
    for size in ((SIDE, SIDE), (50, 37), (400, 100)):
        picture = image().resize(size)
        assert np.array_equal(paint(host, Edit(picture, Image.new("L", size)))[0], np.array(picture))


def test_a_grey_mask_is_a_mixture_in_its_proportion(host: Host) -> None:
    edit = Edit(image(), Image.linear_gradient("L").resize((SIDE, SIDE)))
    black, white = Image.new("RGB", (SIDE, SIDE)), Image.new("RGB", (SIDE, SIDE), "white")
    assert np.array_equal(np.array(Edit(black, edit.mask).kept_outside(white))[..., 0], np.array(edit.mask))
    assert np.array_equal(np.array(edit.kept_outside(image())), np.array(image()))


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_latents_outside_stand_at_the_steps_own_noise_level_and_end_without_noise(host: Host, kind: Any) -> None:
    """Between the steps: what a scheduler that paints the picture itself would have there."""
    host = with_scheduler(host, kind)
    generator, edit, seen = Generator(host), Edit(image(), MIDDLE), list[torch.Tensor]()
    scheduler = generator.pipeline.scheduler
    plain = scheduler.step

    def step(noise: torch.Tensor, t: Any, latents: torch.Tensor, **options: Any) -> Any:
        seen.append(latents.clone())
        return plain(noise, t, latents, **options)

    scheduler.step = step
    generator.paint(REQUEST, edit=edit)
    blend = Blend(host, edit, (SIDE, SIDE))
    source, outside = encode_images(host, [image()]), blend.mask[0, 0] == 0
    assert outside.any() and not outside.all() and torch.equal(blend.source, source)
    noise = torch.randn(source.shape, generator=torch.Generator().manual_seed(3))
    for n, latents in enumerate(seen[1:], 1):
        if kind in (EulerDiscreteScheduler, EulerAncestralDiscreteScheduler):
            expected = source + scheduler.sigmas[n] * noise
        else:
            alpha = host.scheduler.alphas_cumprod[int(scheduler.timesteps[n])]
            expected = alpha.sqrt() * source + (1 - alpha).sqrt() * noise
        torch.testing.assert_close(latents[..., outside], expected[..., outside], rtol=1e-4, atol=1e-4)
    last = len(scheduler.timesteps) - 1
    kept = blend.keeping(scheduler, 3, torch.float32)(last, noise)
    assert torch.equal(kept[..., outside], source[..., outside])
    assert torch.equal(kept[..., blend.mask[0, 0] == 1], noise[..., blend.mask[0, 0] == 1])


def test_a_latent_is_open_when_any_of_its_pixels_is(host: Host) -> None:
    line = mask((5, 0, 6, SIDE))  # one pixel wide
    assert torch.equal(Blend(host, Edit(image(), line), (SIDE, SIDE)).mask[0, 0],
                       torch.eye(8)[1].expand(8, 8))


def test_each_picture_of_a_batch_has_its_own_seed_and_the_same_outside(host: Host) -> None:
    edit, inside = Edit(image(), MIDDLE), np.array(MIDDLE) == 255
    one, two = paint(host, edit, REQUEST.model_copy(update={"images": 2}))
    assert np.array_equal(two, paint(host, edit, REQUEST.model_copy(update={"seed": 4}))[0])
    assert np.array_equal(one[~inside], two[~inside]) and not np.array_equal(one, two)


def test_oblong_pictures_are_painted_in_their_shape_or_as_asked_and_come_back_in_their_size(host: Host) -> None:
    shapes, plain = list[tuple[int, ...]](), host.decode
    host.decode = lambda latents: shapes.append(tuple(latents.shape[-2:])) or plain(latents)  # type: ignore[method-assign]
    picture = image().resize((90, 45))
    edit = Edit(picture, Image.new("L", picture.size, 255))
    painted = Generator(host).paint(REQUEST, edit=edit)
    assert painted.images[0].size == (90, 45)
    assert (painted.settings["width"], painted.settings["height"], painted.settings["edit"]) == (90, 45, True)
    Generator(host).paint(REQUEST.model_copy(update={"width": 64, "height": 48}), edit=edit)
    assert shapes[0][1] > shapes[0][0] and shapes[1] == (12, 16)


def test_progress_counts_on_and_may_cancel(host: Host) -> None:
    seen: list[tuple[int, int]] = []
    generator, edit = Generator(host), Edit(image(), MIDDLE)
    generator.paint(REQUEST.model_copy(update={"images": 2}), lambda *at: seen.append(at), edit)
    assert seen == [(n, 6) for n in range(1, 7)]

    def cancel(done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.paint(REQUEST, cancel, edit)
    assert np.array_equal(np.array(generator.paint(REQUEST).images[0]), paint(host, None)[0])


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(StudioError, match="The mask is 48x48 pixels, its picture is 32x32"):
        Edit(image(), mask((0, 0, 8, 8), 48))


def test_the_painter_reads_both_files(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image().save(tmp_path / "a.png"), MIDDLE.save(tmp_path / "m.png")
    painter = Painter("cpu")
    monkeypatch.setattr(painter, "_generator", lambda base, offline: Generator(host))
    settings = painter.paint_files("tiny", [], REQUEST, [tmp_path / "out.png"],
                                   edit=(tmp_path / "a.png", tmp_path / "m.png"))
    with Image.open(tmp_path / "out.png") as made:
        assert np.array_equal(np.array(made), paint(host, Edit(image(), MIDDLE))[0])
        assert json.loads(made.text["semblance"])["edit"] is True and settings["edit"] is True  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", [["--edit", "a.png"], ["--mask", "m.png"]])
def test_a_picture_and_a_mask_belong_together(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                              given: list[str]) -> None:
    assert main(["generate", "--home", str(tmp_path), "--prompt", "x", "--out", str(tmp_path / "x.png"), *given]) == 2
    assert "--edit and --mask belong together" in capsys.readouterr().err


def test_the_command_line_edits_with_the_starter(tmp_path: Path) -> None:
    picture = image().resize((128, 128))
    picture.save(tmp_path / "a.png"), MIDDLE.resize((128, 128), Image.Resampling.NEAREST).save(tmp_path / "m.png")
    assert main(["generate", "--home", str(tmp_path), "--prompt", "a cat", "--steps", "2", "--edit",
                 str(tmp_path / "a.png"), "--mask", str(tmp_path / "m.png"), "--out", str(tmp_path / "x.png")]) == 0
    outside = np.array(Image.open(tmp_path / "m.png")) == 0
    with Image.open(tmp_path / "x.png") as made:
        assert np.array_equal(np.array(made)[outside], np.array(picture)[outside])
        assert not np.array_equal(np.array(made), np.array(picture))
