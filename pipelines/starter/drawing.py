"""Many scenes at once, drawn by all cores. Imports no torch: every process that draws imports this."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.starter.glyphs import Catalogue
from pipelines.starter.world import Spec, World, draw

CHUNK = 50
Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Order:
    """What is to be drawn: scenes of the trainable individuals at `size` pixels.

    The same `seed` gives the same scenes on any number of cores. `world` goes to `World`, `vary` to
    its captions. With `quarters` each picture is four close-ups (`World.quarters`).
    """

    seed: int
    size: int
    world: dict[str, Any] = field(default_factory=dict)
    vary: bool = True
    quarters: bool = False


def draw_chunk(order: Order, world: World, index: int, count: int = CHUNK) -> tuple[Pictures, list[Spec]]:
    """Scenes number `index` * CHUNK and following: pictures [count, size, size, 3] and their specs."""
    rng, specs = _told(order, world, index, count)
    return np.stack([np.asarray(draw(rng, s, order.size).image) for s in specs]), specs


def _told(order: Order, world: World, index: int, count: int) -> tuple[np.random.Generator, list[Spec]]:
    rng = np.random.default_rng((order.seed, index))
    spec = world.quarters if order.quarters else world.spec
    return rng, [spec(rng, vary=order.vary) for _ in range(count)]


def told(order: Order, count: int) -> tuple[World, list[Spec]]:
    """The specs of the first `count` scenes, none of them drawn, and the world that they are of."""
    world = _world(order)
    parts = (_told(order, world, n, min(CHUNK, count - n * CHUNK))[1] for n in range(-(-count // CHUNK)))
    return world, [s for part in parts for s in part]


def chunks(order: Order, count: int, start: int = 0) -> Iterator[tuple[Pictures, list[Spec]]]:
    """`count` scenes after the first `start` (a multiple of CHUNK), at most CHUNK at a time, in order."""
    first, last = start // CHUNK, -(-(start + count) // CHUNK)
    jobs = [(order, n, min(CHUNK, start + count - n * CHUNK)) for n in range(first, last)]
    cores = min(os.cpu_count() or 1, len(jobs))
    if cores < 2 or count < 4 * CHUNK:  # starting processes would cost more than it saves
        world = _world(order)
        yield from (draw_chunk(order, world, n, part) for _, n, part in jobs)
        return
    # Not forked: the parent's torch threads and GPU context must not be inherited.
    with multiprocessing.get_context("spawn").Pool(cores, _open, (order,)) as pool:
        yield from pool.imap(_work, jobs)


def scenes(order: Order, count: int) -> tuple[Pictures, list[Spec]]:
    """`count` scenes held in memory: [count, size, size, 3] and their specs."""
    pictures = np.empty((count, order.size, order.size, 3), np.uint8)
    specs: list[Spec] = []
    for part, told in chunks(order, count):
        pictures[len(specs):len(specs) + len(part)] = part
        specs += told
    return pictures, specs


def _world(order: Order) -> World:
    catalogue = Catalogue()
    individuals = catalogue.trainable()
    catalogue.check_trainable(individuals)
    return World(individuals, **order.world)


_worlds: list[World] = []


def _open(order: Order) -> None:
    _worlds[:] = [_world(order)]


def _work(job: tuple[Order, int, int]) -> tuple[Pictures, list[Spec]]:
    order, index, count = job
    return draw_chunk(order, _worlds[0], index, count)
