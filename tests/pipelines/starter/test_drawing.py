"""Many scenes at once are the same scenes, however they are split."""

import numpy as np
import pytest

from pipelines.starter.drawing import CHUNK, Order, chunks, draw_chunk, scenes, told
from pipelines.starter.glyphs import FONT_PATH, Catalogue
from pipelines.starter.world import World

needs_font = pytest.mark.skipif(not FONT_PATH.exists(), reason="fonts-noto-color-emoji is not here")


@needs_font
def test_the_same_order_gives_the_same_scenes_however_it_is_split() -> None:
    order = Order(3, 32)
    whole, told = scenes(order, 2 * CHUNK + 7)
    second, again = next(chunks(order, CHUNK, start=CHUNK))
    assert np.array_equal(whole[CHUNK:2 * CHUNK], second) and told[CHUNK:2 * CHUNK] == again


@needs_font
@pytest.mark.parametrize("quarters", [False, True])
def test_what_scenes_tell_is_the_same_when_none_is_drawn(quarters: bool) -> None:
    order = Order(3, 32, quarters=quarters)
    assert told(order, CHUNK + 7)[1] == scenes(order, CHUNK + 7)[1]


@needs_font
@pytest.mark.slow
def test_many_processes_draw_what_one_draws() -> None:
    order, count = Order(4, 32), 4 * CHUNK  # enough for a pool
    catalogue = Catalogue()
    alone = np.concatenate([draw_chunk(order, World(catalogue.trainable()), n)[0] for n in range(4)])
    assert np.array_equal(scenes(order, count)[0], alone)
