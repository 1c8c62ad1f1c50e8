"""The catalogue: enough to learn, held-out individuals refused; glyphs have pictures and take colours."""

import numpy as np
import pytest

from pipelines.starter.glyphs import COLOURS, FONT_PATH, Catalogue, recolour, sprite
from pipelines.starter.scenes import SCENES
from pipelines.starter.styles import DRAWN, HELD_OUT_STYLES, STYLES

needs_font = pytest.mark.skipif(not FONT_PATH.exists(), reason="fonts-noto-color-emoji is not here")


def test_held_out_individuals_are_refused() -> None:
    catalogue = Catalogue()
    catalogue.check_trainable(catalogue.trainable())
    for one in catalogue.held_out():
        with pytest.raises(ValueError, match="held out"):
            catalogue.check_trainable([*catalogue.trainable(), one])


def test_there_is_enough_to_learn_and_to_hold_out() -> None:
    catalogue = Catalogue()
    glyphs = [i.glyph for i in catalogue.trainable()]
    assert (len(catalogue.nouns), len(glyphs), len(set(glyphs))) == (126, 410, 410)
    assert len([i for i in catalogue.held_out() if i.noun in catalogue.nouns]) == 27
    assert len(catalogue.held_out_nouns) == 7
    assert len(SCENES) == 16 and len(COLOURS) == 8
    assert len([s for s in STYLES if s != DRAWN]) >= 4 and len(HELD_OUT_STYLES) == 1


@needs_font
def test_every_glyph_has_a_picture() -> None:
    for individual in Catalogue().individuals:
        assert min(sprite(individual.glyph).size) >= 40, individual


@needs_font
@pytest.mark.parametrize("colour", list(COLOURS))
def test_recoloured_sprites_have_the_named_colour(colour: str) -> None:
    painted = np.asarray(recolour(sprite("🐘"), colour), float)
    mean = painted[painted[..., 3] > 200][:, :3].mean(0)
    nearest = min(COLOURS, key=lambda c: float(np.abs(mean - np.array(COLOURS[c])).sum()))
    assert nearest == colour
