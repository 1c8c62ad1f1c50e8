"""The starter's world: what is held out stays out, and captions say what is drawn."""

import os
import string
import subprocess
import sys

import numpy as np
import pytest

from pipelines.starter import tokenizer
from pipelines.starter.captions import SIDES, TRIGGER_WORDS, article, caption
from pipelines.starter.glyphs import COLOURS, FONT_PATH, Catalogue, recolour, sprite
from pipelines.starter.scenes import SCENES
from pipelines.starter.world import World, draw

needs_font = pytest.mark.skipif(not FONT_PATH.exists(), reason="fonts-noto-color-emoji is not here")


def test_held_out_glyphs_and_classes_are_refused() -> None:
    catalogue = Catalogue()
    catalogue.check_trainable(catalogue.trainable())
    for individual in catalogue.held_out():
        with pytest.raises(ValueError, match="held out"):
            catalogue.check_trainable([*catalogue.trainable(), individual])


def test_no_glyph_is_both_trained_on_and_held_out() -> None:
    catalogue = Catalogue(99)
    trained = {i.glyph for i in catalogue.trainable()}
    assert not trained & {i.glyph for i in catalogue.held_out()}
    assert not set(catalogue.nouns) & set(catalogue.held_out_nouns)


def test_there_is_enough_to_learn_and_to_hold_out() -> None:
    catalogue = Catalogue()
    assert len(catalogue.nouns) >= 40
    assert len([i for i in catalogue.held_out() if i.noun in catalogue.nouns]) >= 20
    assert len(catalogue.held_out_nouns) >= 5


def test_every_caption_word_is_one_token_and_ascii_never_ends_the_prompt() -> None:
    tokens = tokenizer.build(48)
    assert all(len(tokens.tokenize(w)) == 1 for w in tokenizer.words())
    assert {"toy", "photo", "drawing", *TRIGGER_WORDS} <= set(tokenizer.words())
    special = set(tokens.all_special_ids)
    for character in string.printable.strip():
        ids = tokens(f"{character}x{character}", add_special_tokens=False).input_ids
        assert ids and not special & set(ids), character
    for noun in ("strawberry", "helicopter", "xylophone", "Dachshund"):
        ids = tokens(noun, add_special_tokens=False).input_ids
        assert len(ids) > 1 and not special & set(ids)


def test_the_tokenizer_is_the_same_in_every_process() -> None:
    code = ("from pipelines.starter import tokenizer; "
            "print(sorted(tokenizer.build(48).get_vocab().items(), key=lambda item: item[1]))")
    printed = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              env={**os.environ, "PYTHONHASHSEED": str(seed)}).stdout for seed in (1, 2)}
    assert len(printed) == 1


def test_a_held_out_noun_is_no_word_of_the_world() -> None:
    assert not set(Catalogue().held_out_nouns) & set(tokenizer.words())


@pytest.mark.parametrize("seed", range(20))
def test_sides_in_captions_match_the_order_of_drawing(seed: int) -> None:
    text = caption(np.random.default_rng(seed), ["a cat", "a dog"], SCENES["beach"].phrases)
    if SIDES["left"] in text:
        assert text.index("cat") < text.index("dog")
    elif SIDES["right"] in text:
        assert text.index("dog") < text.index("cat")
    else:
        assert "a cat and a dog" in text


def test_articles() -> None:
    assert [article(w) for w in ("apple", "red apple", "cat")] == ["an apple", "a red apple", "a cat"]


@needs_font
def test_scenes_are_the_same_for_the_same_seed_and_masks_cover_the_object() -> None:
    catalogue = Catalogue()
    world = World(catalogue, catalogue.trainable(), two_objects=1.0)
    first, second = (np.random.default_rng(3) for _ in range(2))
    spec, again = world.spec(first), world.spec(second)
    assert spec == again
    one, two = draw(first, spec, 128), draw(second, again, 128)
    assert np.array_equal(np.asarray(one.image), np.asarray(two.image))
    left, right = (np.asarray(m, float) for m in one.masks)
    centre = [(m.sum(0) * np.arange(128)).sum() / m.sum() for m in (left, right)]
    assert centre[0] < 64 < centre[1]


@needs_font
@pytest.mark.parametrize("colour", list(COLOURS))
def test_recoloured_sprites_have_the_named_colour(colour: str) -> None:
    painted = np.asarray(recolour(sprite("🐘"), colour), float)
    mean = painted[painted[..., 3] > 200][:, :3].mean(0)
    nearest = min(COLOURS, key=lambda c: float(np.abs(mean - np.array(COLOURS[c])).sum()))
    assert nearest == colour
