"""What the loss sees is the picture through the autoencoder, under the grid that the masks are learned on."""

import numpy as np
import pytest
import torch
from PIL import Image

from adapters.errors import StudioError
from pipelines.auto_masks import disjoint
from pipelines.base_models.load import load_base
from pipelines.dataset import mask_grid
from pipelines.encode import encode_images
from pipelines.mask_sources import open_source
from pipelines.methods.common import TrainingConfig, resolve
from pipelines.references import open_image
from pipelines.seen import seen
from pipelines.shipped import SAMPLES

SCENE = SAMPLES / "scenes" / "koala-firetruck"
NOUNS = ["bear", "truck"]


def scene() -> tuple[Image.Image, list[Image.Image]]:
    return open_image(SCENE / "img.png"), [open_image(p).convert("L") for p in sorted(SCENE.glob("mask*.png"))]


def settings(method: str, **given: object) -> TrainingConfig:
    return resolve(method, "starter", **given)


def test_without_masks_it_is_the_whole_picture_through_the_autoencoder() -> None:
    host = load_base("starter")
    picture, _ = scene()
    shown, told = seen(host, picture, [], settings("lora"), NOUNS)
    side = host.resolution
    through = host.decode(encode_images(host, [picture.resize((side, side), Image.Resampling.LANCZOS)]))[0]
    expected = ((through.clamp(-1, 1) + 1) / 2 * 255).round().permute(1, 2, 0).detach().numpy()
    assert shown.size == (told["width"], told["height"]) == (side, side)
    assert not told["masked"] and told["share"] == 1
    assert np.abs(np.asarray(shown) - expected).max() <= 1


def test_it_is_grey_exactly_where_the_grid_has_no_weight() -> None:
    host = load_base("starter")
    picture, masks = scene()
    shown, told = seen(host, picture, masks, settings("break-a-scene"), NOUNS)
    assert told["masked"] and not told["soft"]
    learned = [m.resize(shown.size, Image.Resampling.LANCZOS) for m in masks]
    grid = mask_grid(learned, (told["grid"][1], told["grid"][0]), soft=False).amax(0)
    assert told["share"] == round(float(grid.mean()), 4)
    factor = shown.width // told["grid"][0]
    outside = grid.repeat_interleave(factor, 0).repeat_interleave(factor, 1) == 0
    colours = torch.from_numpy(np.array(shown)).float()
    spread = colours.amax(-1) - colours.amin(-1)
    assert not spread[outside].any() and colours[outside].max() <= 64
    assert spread[~outside].float().mean() > 20


def test_soft_masks_are_shown_soft() -> None:
    host = load_base("starter")
    picture, masks = scene()
    _, told = seen(host, picture, [masks[0].point(lambda v: v // 2 + 64)], settings("lora"), NOUNS[:1])
    assert told["soft"] and 64 / 255 < told["share"] < 1


def test_what_a_person_set_counts() -> None:
    host = load_base("starter")
    picture, masks = scene()
    oblong = (0, 0, picture.width, picture.height // 2)
    half, mask = picture.crop(oblong), masks[0].crop(oblong)
    square, _ = seen(host, half, [mask], settings("lora", buckets=False), NOUNS[:1])
    assert square.width == square.height
    kept, told = seen(host, half, [mask], settings("lora", buckets=True), NOUNS[:1])
    assert kept.width > kept.height and told["masked"] and told["share"] < 1
    for everywhere in (settings("lora", masks="none"), settings("break-a-scene", masked_loss=False),
                       settings("break-a-scene", background=True)):
        shown, told = seen(host, picture, masks, everywhere, NOUNS)
        assert not told["masked"] and told["share"] == 1
        assert np.asarray(shown)[0].mean() > 64  # nothing is grey and dim


def test_masks_are_found_where_the_settings_say_so_and_none_is_given() -> None:
    host = load_base("starter")
    picture, masks = scene()
    finder = open_source("attention", host)
    found = disjoint([finder.masks([picture], n)[0] for n in NOUNS])
    _, told = seen(host, picture, [], settings("lora", masks="auto"), NOUNS)
    expected, by_hand = (seen(host, picture, m, settings("lora"), NOUNS)[1] for m in (found, masks))
    assert told == expected != by_hand
    assert seen(host, picture, masks, settings("lora", masks="auto"), NOUNS)[1] == by_hand
    with pytest.raises(StudioError, match="class noun is empty"):
        seen(host, picture, [], settings("lora", masks="auto"), [""])
