"""Checks that speak, on the sample pictures and on what was done to them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipelines.picture_checks import alike, check
from pipelines.references import list_folder, open_image
from pipelines.shipped import SAMPLES

KOALA = {p.name: open_image(p) for p in list_folder(SAMPLES / "koala")}


def said(pictures: dict[str, Image.Image], **options: object) -> str:
    return " ".join(f.text for f in check(pictures, **options))  # type: ignore[arg-type]


def test_good_pictures_are_met_with_silence() -> None:
    assert check(KOALA, side=256) == []


def test_too_few_are_said_unless_masks_make_a_scene_of_them() -> None:
    one = dict(list(KOALA.items())[:1])
    assert "1 picture is few" in said(one, side=256)
    masks = {"0.png": [Image.new("L", (256, 256), 255)]}
    assert said(one, masks=masks, side=256) == ""
    two = dict(list(KOALA.items())[:2])
    assert "2 pictures are few" in said(two, masks=masks | {"1.png": []}, side=256)


@pytest.mark.parametrize("name", list(KOALA))
def test_a_blurred_copy_is_named(name: str) -> None:
    blurred = KOALA | {"soft.png": KOALA[name].filter(ImageFilter.GaussianBlur(2))}
    assert "'soft.png' is blurred" in said(blurred, side=256)


def test_a_recompressed_copy_is_a_duplicate_and_another_picture_is_none() -> None:
    out = io.BytesIO()
    KOALA["0.png"].resize((150, 150)).save(out, "JPEG", quality=60)
    copy = Image.open(out).convert("RGB")
    assert alike(KOALA["0.png"], copy)
    assert not any(alike(KOALA["0.png"], KOALA[f"{n}.png"]) for n in range(1, 5))
    assert "'0.png' and 'copy.jpg' are nearly the same" in said(KOALA | {"copy.jpg": copy}, side=100)
    both = {f"{n}-{side}.png": KOALA[f"{n}.png"].resize((side, side)) for side in (150, 200, 256) for n in (0, 1)}
    assert [f.text for f in check(both, side=100) if "nearly" in f.text] == [
        f"'{n}-150.png', '{n}-200.png' and '{n}-256.png' are nearly the same picture; one of them is enough."
        for n in (0, 1)]


def test_small_and_mixed_sizes_are_said() -> None:
    assert "less than the 512 pixels" in said(KOALA, side=512)
    large = {"large.png": KOALA["0.png"].resize((1200, 1200))}
    assert "very different sizes" in said(KOALA | large, side=256)


def test_a_subject_that_fills_too_little_is_said() -> None:
    mask = np.zeros((256, 256), np.uint8)
    mask[:40, :40] = 255
    assert "fills 2% of the picture" in said(KOALA, masks={"0.png": [Image.fromarray(mask)]}, side=256)
