"""How cost grows: with references, with steps, with concepts in one picture. Each row is one run, timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from adapters.tokens import TokensAdapter
from pipelines.base_models.load import load_base
from pipelines.generator import Generator, Request
from pipelines.speed.running import training_seconds

REFERENCES, STEPS, CONCEPTS = (1, 5, 20, 50), (10, 40, 160), (0, 1, 2, 4, 8)
NOUNS = ("cat", "car", "tree", "house", "fish", "bird", "cup", "ball")


def with_references(counts: Sequence[int] = REFERENCES) -> dict[int, float]:
    """Seconds from a run's start to its first step, by how many pictures it has."""
    return {n: training_seconds(2, pictures=n, preview_every=0)["first_step"] for n in counts}


def with_steps(counts: Sequence[int] = STEPS) -> dict[int, float]:
    """Seconds of a whole LoRA run without previews, by its steps of batch 4."""
    return {n: training_seconds(n, preview_every=0)["total"] for n in counts}


def with_concepts(counts: Sequence[int] = CONCEPTS, pictures: int = 3) -> dict[int, float]:
    """Median seconds of a picture of 20 steps, by how many learned words are in use."""
    generator, found = Generator(load_base("starter")), {}
    for count in counts:
        adapters = [TokensAdapter.for_training(generator.host, {f"<{noun}>": noun}) for noun in NOUNS[:count]]
        for number, adapter in enumerate(adapters):
            adapter.inject(generator.host, f"word{number}")
        times = []
        for seed in range(pictures):
            started = time.perf_counter()
            said = " and ".join(f"<{noun}>" for noun in NOUNS[:count]) or "cat"
            generator.paint(Request(prompt=f"a photo of {said}", seed=seed, steps=20))
            times.append(time.perf_counter() - started)
        for adapter in reversed(adapters):
            adapter.eject()
        found[count] = round(statistics.median(times), 2)
    return found
