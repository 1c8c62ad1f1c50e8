"""Scenes: what is held out stays out, masks cover their objects, styles keep them in place."""

import itertools

import numpy as np
import pytest
import torch

from pipelines.starter.combinations import held_out_pair
from pipelines.starter.diffusion import shifted
from pipelines.starter.glyphs import COLOURS, FONT_PATH, Catalogue
from pipelines.starter.latents import object_boxes, quartered
from pipelines.starter.styles import DRAWN, HELD_OUT_STYLES, STYLES
from pipelines.starter.world import Rendered, Spec, Unseen, World, draw, place_one

needs_font = pytest.mark.skipif(not FONT_PATH.exists(), reason="fonts-noto-color-emoji is not here")


def test_the_held_out_style_is_refused() -> None:
    catalogue = Catalogue()
    with pytest.raises(ValueError, match="held out"):
        World(catalogue.trainable(), styles=[*STYLES, *HELD_OUT_STYLES])


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
    world = World(catalogue.trainable(), two_objects=0.6, coloured=0.7)
    drawn = [pair for _ in range(3000) for pair in _pairs(world.spec(rng))]
    assert len(drawn) > 3000 and not any(held_out_pair(*pair) for pair in drawn)


@pytest.mark.parametrize(("unseen", "objects"), [("colour", 1), ("objects", 2)])
def test_only_held_out_pairs_are_drawn_when_asked_for(unseen: Unseen, objects: int) -> None:
    catalogue, rng = Catalogue(), np.random.default_rng(0)
    world = World(catalogue.trainable(), unseen=unseen, coloured=0.0)
    for _ in range(300):
        spec = world.spec(rng)
        assert len(spec.placements) == objects
        assert [held_out_pair(*pair) for pair in _pairs(spec)] == [True]
        assert STYLES[spec.style].colours or objects == 2


def test_a_style_without_colours_names_none() -> None:
    catalogue, rng = Catalogue(), np.random.default_rng(0)
    world = World(catalogue.trainable(), styled=1.0, coloured=1.0, styles=["silhouette", "old photo"])
    for _ in range(200):
        spec = world.spec(rng)
        assert not STYLES[spec.style].colours
        assert spec.scene not in COLOURS and not any(p.colour for p in spec.placements)


@needs_font
def test_scenes_are_the_same_for_the_same_seed_and_masks_cover_the_object() -> None:
    catalogue = Catalogue()
    world = World(catalogue.trainable(), two_objects=1.0)
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
    world = World(catalogue.trainable())
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
    world, rng = World(catalogue.trainable(), styled=0.0), np.random.default_rng(5)
    specs = [world.spec(rng) for _ in range(20)]
    boxes = object_boxes(specs, 32)
    for spec, box in zip(specs, boxes.numpy(), strict=True):
        shown = np.max([np.asarray(m.resize((32, 32))) for m in draw(rng, spec, 128).masks], 0) > 127
        assert shown[box].sum() >= 0.97 * shown.sum()
        assert box.sum() <= 1.1 * sum((32 * p.side + 2) ** 2 for p in spec.placements)


@needs_font
def test_a_close_up_stands_in_its_own_quarter_and_has_its_own_caption() -> None:
    catalogue = Catalogue()
    world, rng = World(catalogue.trainable(), styled=0.0), np.random.default_rng(6)
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
