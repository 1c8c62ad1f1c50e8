"""Halves of pictures of four: two objects each, told as they lie, and none that must not be seen together."""

import itertools

import numpy as np
import pytest
import torch

from pipelines.starter.captions import RELATIONS
from pipelines.starter.combinations import held_out_pair
from pipelines.starter.glyphs import Catalogue
from pipelines.starter.latents import Scenes, _halves
from pipelines.starter.world import COLUMNS, ROWS, Spec, World, place_quarters


def _pictures(count: int) -> tuple[World, list[Spec], Scenes]:
    """Pictures of four whose latents are, in each quarter, ten times the picture's number and the quarter's."""
    world, rng = World(Catalogue().trainable(), coloured=0.0, styled=0.0), np.random.default_rng(0)
    specs = [world.quarters(rng, vary=False) for _ in range(count)]
    numbers = torch.tensor([[0.0, 1.0], [2.0, 3.0]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    maps = torch.stack([10 * n + numbers for n in range(count)])[:, None]
    return world, specs, Scenes(maps, [s.caption for s in specs], maps[:, 0] > 0)


@pytest.mark.parametrize(("dim", "places", "relation"), [(-2, ROWS, "side"), (-1, COLUMNS, "stack")])
def test_a_half_shows_the_two_objects_that_its_caption_names(dim: int, places: tuple[tuple[int, int], ...],
                                                             relation: str) -> None:
    world, specs, four = _pictures(40)
    found = _halves(four, specs, world, np.random.default_rng(1), dim, places)
    assert len(found.captions) == len(found.latents) == len(found.objects) > 60
    words = {w for way in RELATIONS[relation] for w in way} | ({"and"} if relation == "side" else set())
    for latents, objects, caption in zip(found.latents, found.objects, found.captions, strict=True):
        picture = int(latents[0, 0, 0]) // 10
        numbers = sorted({int(v) - 10 * picture for v in latents.flatten()})
        assert tuple(numbers) in places and torch.equal(objects, latents[0] > 0)
        for number in numbers:
            who = specs[picture].placements[number].individual
            assert who.noun in caption or who.kind in caption
        assert any(f" {w} " in caption for w in words)


def test_two_of_a_kind_and_held_out_pairs_are_left_out() -> None:
    world, rng = World(Catalogue().trainable()), np.random.default_rng(0)
    cat = world.pick(rng, "cat")
    other = world.pick(rng, next(n for n in world.nouns if held_out_pair("cat", n)))
    known = world.pick(rng, next(n for n in world.nouns if n != "cat" and not held_out_pair("cat", n)))
    for second, wanted in ((cat, False), (other, False), (known, True)):
        placed = place_quarters(rng, [cat, second, second, cat], [None] * 4)
        spec = Spec("snow", placed, "")
        told = [world.half(rng, spec, two) for two in itertools.chain(ROWS, COLUMNS)]
        assert [t is not None for t in told] == [wanted] * 4
