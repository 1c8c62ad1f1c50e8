"""The sample concepts are there, whole, and of nothing that the base was trained on."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.shipped import SAMPLES
from pipelines.starter.glyphs import Catalogue
from pipelines.starter.samples import DEVELOPMENT_MULTI, DEVELOPMENT_SETS, MULTI, SETS, STYLE
from pipelines.starter.styles import HELD_OUT_STYLES

SPARE = SAMPLES / "development"
REFERENCES = [SAMPLES / n for n in SETS] + [SPARE / n for n in DEVELOPMENT_SETS]
SCENES = [SAMPLES / "scenes" / n for n in MULTI] + [SPARE / "scenes" / n for n in DEVELOPMENT_MULTI]


def _about(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((folder / "sample.json").read_text("utf-8"))
    return found


def test_there_are_as_many_as_promised() -> None:
    assert (len(SETS), len(DEVELOPMENT_SETS), len(DEVELOPMENT_MULTI)) == (6, 2, 2)
    assert sorted(len(_about(SAMPLES / "scenes" / n)["nouns"]) for n in MULTI) == [2, 2, 2, 3, 3, 3]


@pytest.mark.parametrize("folder", REFERENCES, ids=lambda f: f.name)
def test_a_reference_set_shows_one_held_out_individual(folder: Path) -> None:
    held_out = {i.glyph: i for i in Catalogue().held_out()}
    about = _about(folder)
    assert held_out[str(about["glyph"])].teacher == about["noun"]
    pictures = [Image.open(p) for p in sorted(folder.glob("*.png"))]
    assert 4 <= len(pictures) <= 6 and all(p.size == (256, 256) for p in pictures)


@pytest.mark.parametrize("folder", SCENES, ids=lambda f: f.name)
def test_a_scene_has_a_mask_for_every_concept_from_left_to_right(folder: Path) -> None:
    about = _about(folder)
    held_out = {i.glyph: i.teacher for i in Catalogue().held_out()}
    assert [held_out[g] for g in about["glyphs"]] == about["nouns"]
    masks = [np.asarray(Image.open(p).convert("L")) > 0 for p in sorted(folder.glob("mask*.png"))]
    assert len(masks) == len(about["nouns"]) and Image.open(folder / "img.png").size == (256, 256)
    assert all(500 < m.sum() < 256 * 256 / 3 for m in masks)
    assert np.sum(masks, 0).max() == 1  # no two objects overlap
    centres = [float(np.nonzero(m)[1].mean()) for m in masks]
    assert centres == sorted(centres)


def test_the_style_set_is_in_the_held_out_style() -> None:
    about = _about(SAMPLES / "style" / STYLE)
    assert about["style"] in HELD_OUT_STYLES
    pictures = sorted((SAMPLES / "style" / STYLE).glob("*.png"))
    assert len(pictures) == len(about["captions"]) == 5
    assert all(np.asarray(Image.open(p).convert("L")).mean() < 60 for p in pictures)  # light on dark
