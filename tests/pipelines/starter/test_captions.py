"""Captions say what is drawn."""

import numpy as np
import pytest

from pipelines.starter import tokenizer
from pipelines.starter.captions import PLURALS, RELATIONS, article, subject
from pipelines.starter.glyphs import Catalogue
from pipelines.starter.scenes import SCENES
from pipelines.starter.styles import STYLES
from pipelines.starter.world import World


def test_a_plain_caption_says_style_size_colour_and_place() -> None:
    catalogue, rng = Catalogue(), np.random.default_rng(0)
    world = World(catalogue.trainable(), two_objects=0.0, sized=1.0, coloured=1.0, styled=1.0)
    for _ in range(200):
        spec = world.spec(rng, vary=False)
        one, style = spec.placements[0], STYLES[spec.style]
        size = "small" if one.side < 0.4 else "big"
        thing = " ".join(w for w in (size, one.colour, one.individual.noun) if w)
        thing = thing if one.individual.noun in PLURALS else f"a {thing}"
        assert spec.caption == style.openings[0].format(f"{thing} {SCENES[spec.scene].phrases[0]}")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("relation", ["side", "stack"])
def test_relations_in_captions_match_the_order_of_drawing(seed: int, relation: str) -> None:
    text = subject(np.random.default_rng(seed), ["a cat", "a dog"], relation)
    forward, backward = RELATIONS[relation]
    if any(f" {w} " in text for w in forward):
        assert text.startswith("a cat")
    elif any(f" {w} " in text for w in backward):
        assert text.startswith("a dog")
    else:
        assert relation == "side" and text == "a cat and a dog"


def test_articles() -> None:
    assert [article(w) for w in ("apple", "red apple", "cat")] == ["an apple", "a red apple", "a cat"]


def test_every_word_of_varied_captions_is_one_token() -> None:
    catalogue, rng, known = Catalogue(), np.random.default_rng(1), set(tokenizer.words())
    world = World(catalogue.trainable())
    assert {w for _ in range(3000) for w in world.spec(rng).caption.split()} <= known
