"""The starter's world: what is held out stays out, and captions say what is drawn."""

import itertools

import numpy as np
import pytest
import torch

from pipelines.starter.captions import TRIGGER_WORDS
from pipelines.starter.glyphs import COLOURS, FONT_PATH, sprite
from pipelines.starter.second import tokenizer
from pipelines.starter.second.captions import PLURALS, RELATIONS, SIZES, subject
from pipelines.starter.second.combinations import held_out_pair
from pipelines.starter.second.diffusion import shifted
from pipelines.starter.second.drawing import CHUNK, Order, chunks, draw_chunk, scenes
from pipelines.starter.second.glyphs import Catalogue
from pipelines.starter.second.latents import object_boxes, quartered
from pipelines.starter.second.scenes import SCENES
from pipelines.starter.second.styles import DRAWN, HELD_OUT_STYLES, STYLES
from pipelines.starter.second.world import Spec, Unseen, World, draw, place_one
from pipelines.starter.world import Rendered

needs_font = pytest.mark.skipif(not FONT_PATH.exists(), reason="fonts-noto-color-emoji is not here")


def test_held_out_individuals_are_apart_from_the_trained_and_refused() -> None:
    catalogue = Catalogue()
    held_out, trained = ({i.glyph for i in part} for part in (catalogue.held_out(), catalogue.trainable()))
    assert not trained & held_out and not set(catalogue.nouns) & set(catalogue.held_out_nouns)
    catalogue.check_trainable(catalogue.trainable())
    for one in (catalogue.held_out()[0], catalogue.held_out()[-1]):  # of a known class, and of a held-out one
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


def test_the_held_out_style_is_refused() -> None:
    catalogue = Catalogue()
    with pytest.raises(ValueError, match="held out"):
        World(catalogue, catalogue.trainable(), styles=[*STYLES, *HELD_OUT_STYLES])


def _pairs(spec: Spec) -> list[tuple[str, str]]:
    found = [(p.colour, p.individual.noun) for p in spec.placements if p.colour]
    if len(spec.placements) == 2:
        found.append((spec.placements[0].individual.noun, spec.placements[1].individual.noun))
    return found


def test_held_out_pairs_are_few_stable_and_never_drawn_together() -> None:
    catalogue, rng = Catalogue(), np.random.default_rng(0)
    nouns = catalogue.nouns
    for words in ([(c, n) for c in COLOURS for n in nouns], list(itertools.combinations(nouns, 2))):
        assert 0.06 <= np.mean([held_out_pair(*w) for w in words]) <= 0.1
    assert held_out_pair("red", "cat") == held_out_pair("cat", "red")
    assert [n for n in nouns if held_out_pair("red", n)][:3] == ["dog", "mouse", "tiger"]
    world = World(catalogue, catalogue.trainable(), two_objects=0.6, coloured=0.7)
    drawn = [pair for _ in range(3000) for pair in _pairs(world.spec(rng))]
    assert len(drawn) > 3000 and not any(held_out_pair(*pair) for pair in drawn)


@pytest.mark.parametrize(("unseen", "objects"), [("colour", 1), ("objects", 2)])
def test_only_held_out_pairs_are_drawn_when_asked_for(unseen: Unseen, objects: int) -> None:
    catalogue, rng = Catalogue(), np.random.default_rng(0)
    world = World(catalogue, catalogue.trainable(), unseen=unseen, coloured=0.0)
    for _ in range(300):
        spec = world.spec(rng)
        assert len(spec.placements) == objects
        assert [held_out_pair(*pair) for pair in _pairs(spec)] == [True]
        assert STYLES[spec.style].colours or objects == 2


def test_a_style_without_colours_names_none() -> None:
    catalogue, rng = Catalogue(), np.random.default_rng(0)
    world = World(catalogue, catalogue.trainable(), styled=1.0, coloured=1.0, styles=["silhouette", "old photo"])
    for _ in range(200):
        spec = world.spec(rng)
        assert not STYLES[spec.style].colours
        assert spec.scene not in COLOURS and not any(p.colour for p in spec.placements)


def test_a_plain_caption_says_style_size_colour_and_place() -> None:
    catalogue, rng = Catalogue(), np.random.default_rng(0)
    world = World(catalogue, catalogue.trainable(), two_objects=0.0, sized=1.0, coloured=1.0, styled=1.0)
    for _ in range(200):
        spec = world.spec(rng, vary=False)
        one, style = spec.placements[0], STYLES[spec.style]
        size = "small" if one.side < 0.4 else "big"
        thing = " ".join(w for w in (size, one.colour, one.individual.noun) if w)
        thing = thing if one.individual.noun in PLURALS else f"a {thing}"
        assert spec.caption == style.openings[0].format(f"{thing} {SCENES[spec.scene].phrases[0]}")


def test_every_word_of_varied_captions_is_one_token() -> None:
    catalogue, rng, known = Catalogue(), np.random.default_rng(1), set(tokenizer.words())
    world = World(catalogue, catalogue.trainable())
    assert {w for _ in range(3000) for w in world.spec(rng).caption.split()} <= known


def test_every_word_of_the_world_is_one_token_and_other_words_are_spelled() -> None:
    tokens = tokenizer.build(48)
    assert tokenizer.words() == sorted(tokenizer.words())  # the same order, so the same ids, in every process
    assert all(len(tokens.tokenize(w)) == 1 for w in tokenizer.words())
    assert {"vintage", "photo", *SIZES, *TRIGGER_WORDS} <= set(tokenizer.words())
    assert len(tokens.tokenize("xylophone")) > 1 and tokens.unk_token not in tokens.tokenize("xylophone")


def test_a_held_out_noun_or_style_is_no_word_of_the_world() -> None:
    held_out = {*Catalogue().held_out_nouns, *HELD_OUT_STYLES}
    assert len(held_out) == 8 and not held_out & set(tokenizer.words())


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


@needs_font
def test_scenes_are_the_same_for_the_same_seed_and_masks_cover_the_object() -> None:
    catalogue = Catalogue()
    world = World(catalogue, catalogue.trainable(), two_objects=1.0)
    first, second = (np.random.default_rng(3) for _ in range(2))
    spec, again = world.spec(first, relation="side"), world.spec(second, relation="side")
    assert spec == again
    one, two = draw(first, spec, 128), draw(second, again, 128)
    assert np.array_equal(np.asarray(one.image), np.asarray(two.image))
    left, right = _centres(one, axis=0)
    assert left < 64 < right


def _centres(rendered: Rendered, axis: int) -> list[float]:
    """Centre of each mask along x (axis 0) or y (axis 1)."""
    masks = [np.asarray(m, float) for m in rendered.masks]
    return [(m.sum(axis) * np.arange(m.shape[0])).sum() / m.sum() for m in masks]


@needs_font
def test_the_first_of_a_stack_is_drawn_above() -> None:
    catalogue, rng = Catalogue(), np.random.default_rng(5)
    world = World(catalogue, catalogue.trainable())
    for _ in range(5):
        upper, lower = _centres(draw(rng, world.spec(rng, relation="stack"), 64), axis=1)
        assert upper < 32 < lower


@needs_font
@pytest.mark.parametrize("style", [s for s in (*STYLES, *HELD_OUT_STYLES) if s != DRAWN])
def test_a_style_changes_the_picture_but_not_the_masks(style: str) -> None:
    elephant = next(i for i in Catalogue().trainable() if i.noun == "elephant")
    placement = place_one(np.random.default_rng(0), elephant, None)
    plain, styled = (draw(np.random.default_rng(1), Spec("city", (placement,), "", s), 128) for s in (DRAWN, style))
    assert np.array_equal(np.asarray(plain.masks[0]), np.asarray(styled.masks[0]))
    change = np.abs(np.asarray(plain.image, float) - np.asarray(styled.image, float)).mean()
    assert styled.image.size == (128, 128) and change > 4


@needs_font
def test_a_silhouette_is_dark_within_its_outline_and_pale_outside() -> None:
    elephant = next(i for i in Catalogue().trainable() if i.noun == "elephant")
    spec = Spec("night", (place_one(np.random.default_rng(0), elephant, None),), "", "silhouette")
    rendered = draw(np.random.default_rng(1), spec, 128)
    light, mask = np.asarray(rendered.image.convert("L"), float), np.asarray(rendered.masks[0])
    assert light[mask > 250].mean() < 60 and light[mask < 5].mean() > 120


@needs_font
def test_the_boxes_that_the_loss_looks_at_hold_the_objects_and_little_else() -> None:
    catalogue = Catalogue()
    world, rng = World(catalogue, catalogue.trainable(), styled=0.0), np.random.default_rng(5)
    specs = [world.spec(rng) for _ in range(20)]
    boxes = object_boxes(specs, 32)
    for spec, box in zip(specs, boxes.numpy(), strict=True):
        shown = np.max([np.asarray(m.resize((32, 32))) for m in draw(rng, spec, 128).masks], 0) > 127
        assert shown[box].sum() >= 0.97 * shown.sum()
        assert box.sum() <= 1.1 * sum((32 * p.side + 2) ** 2 for p in spec.placements)


@needs_font
def test_the_same_order_gives_the_same_scenes_however_it_is_split() -> None:
    order = Order(3, 32)
    whole, told = scenes(order, 2 * CHUNK + 7)
    second, again = next(chunks(order, CHUNK, start=CHUNK))
    assert np.array_equal(whole[CHUNK:2 * CHUNK], second) and told[CHUNK:2 * CHUNK] == again


@needs_font
@pytest.mark.slow
def test_many_processes_draw_what_one_draws() -> None:
    order, count = Order(4, 32), 4 * CHUNK  # enough for a pool
    catalogue = Catalogue()
    alone = np.concatenate([draw_chunk(order, World(catalogue, catalogue.trainable()), n)[0] for n in range(4)])
    assert np.array_equal(scenes(order, count)[0], alone)


@needs_font
def test_a_close_up_stands_in_its_own_quarter_and_has_its_own_caption() -> None:
    catalogue = Catalogue()
    world, rng = World(catalogue, catalogue.trainable(), styled=0.0), np.random.default_rng(6)
    for _ in range(10):
        spec = world.quarters(rng)
        captions = spec.caption.split("\n")
        assert len(captions) == len(spec.placements) == 4
        drawn = zip(draw(rng, spec, 128).masks, captions, spec.placements, strict=True)
        for n, (mask, caption, placed) in enumerate(drawn):
            quarters = np.asarray(mask, np.float32).reshape(2, 64, 2, 64).sum((1, 3)).ravel()
            assert quarters[n] >= 0.99 * quarters.sum() > 0
            assert placed.individual.noun in caption or placed.individual.kind in caption


def test_quarters_are_taken_row_by_row() -> None:
    maps = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    found = quartered(maps)
    assert found.shape == (8, 3, 2, 2)
    for n, (rows, columns) in enumerate([(slice(0, 2), slice(0, 2)), (slice(0, 2), slice(2, 4)),
                                         (slice(2, 4), slice(0, 2)), (slice(2, 4), slice(2, 4))]):
        assert torch.equal(found[n], maps[0, :, rows, columns]) and torch.equal(found[4 + n], maps[1, :, rows, columns])


def test_shifted_timesteps_cover_everything_and_lean_to_the_noisy_side() -> None:
    u = (torch.arange(10_000) + 0.5) / 10_000
    plain, shift = shifted(u, 1.0), shifted(u, 2.0)
    assert torch.equal(plain, (u * 1000).long())
    assert shift.min() == 0 and shift.max() == 999
    assert abs(float((shift >= 500).float().mean()) - 2 / 3) < 1e-3  # t = 1/2 is where u = 1/3
