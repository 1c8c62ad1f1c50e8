"""Whole runs and pictures on the starter, timed."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from adapters.lora.adapter import ATTENTION, CONVOLUTIONS, FEED_FORWARD
from adapters.record import Concept
from adapters.studio_file import load
from pipelines.base_models.load import load_base
from pipelines.generator import Chosen, Generator, Request
from pipelines.masks import find_masks, take_in_masks
from pipelines.methods.common import resolve
from pipelines.references import list_folder, take_in
from pipelines.run_config import RunConfig
from pipelines.shipped import SAMPLES
from pipelines.speed.switching import make_loras
from pipelines.trainer import Uninterrupted
from pipelines.training import train_run


def image_seconds(count: int = 3) -> dict[str, float]:
    """Medians of `count` warm pictures of 20 steps with guidance, fp32: 'plain', and 'lora' with one on every layer."""
    painter = Generator(load_base("starter"))
    times: dict[str, list[float]] = {"plain": [], "lora": []}
    with tempfile.TemporaryDirectory() as scratch:
        file = make_loras(Path(scratch), 1, 16, (*ATTENTION, *FEED_FORWARD, *CONVOLUTIONS))[0]
        chosen = Chosen(*load(file))
    for seed in range(count + 1):
        for name, adapters in (("plain", []), ("lora", [chosen])):
            started = time.perf_counter()
            with painter.using(adapters):
                painter.paint(Request(prompt="a photo of a cat on the beach", seed=seed, steps=20))
            times[name].append(time.perf_counter() - started)
    return {name: round(statistics.median(took[1:]), 2) for name, took in times.items()}


def training_seconds(steps: int, method: str = "lora", *, pictures: int = 5, **settings: Any) -> dict[str, float]:
    """A run of `steps` of batch 4: all of it, its steps alone, the time to the first step and, where there
    are previews, to the first with the adapter (after step `preview_step`).

    Methods that need masks learn a scene of two things, the others `pictures` pictures of one.
    """
    events: list[tuple[float, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = {"batch": 4, "preview_every": 50, **settings}
        _take_in(method, pictures, folder).model_copy(
            update={"training": resolve(method, "starter", steps=steps, **settings)}).save(folder)
        started = time.perf_counter()
        train_run(folder, report=lambda e: events.append((time.perf_counter() - started, e)),
                  control=Uninterrupted())
        total = time.perf_counter() - started
    previews = [(at, e["step"]) for at, e in events if e["type"] == "preview" and e["step"] > 0]
    first = {"first_preview": round(previews[0][0], 1), "preview_step": previews[0][1]} if previews else {}
    begun = next(at - e["seconds"] for at, e in events if e["type"] == "step")
    return {"total": round(total, 1), "first_step": round(begun, 1), **first, "count": steps,
            "steps": round(sum(e["seconds"] for _, e in events if e["type"] == "step"), 1)}


def _take_in(method: str, count: int, folder: Path) -> RunConfig:
    """A run's references in `folder`, and its config with the method's usual settings."""
    training = resolve(method, "starter")
    if not training.needs_masks:
        own = list_folder(SAMPLES / "koala")
        take_in([own[n % len(own)] for n in range(count)], folder / "references", most=count)
        return RunConfig(name="bench", class_noun="bear", base="starter", training=training)
    sources = list_folder(SAMPLES / "scenes" / "koala-firetruck")
    taken = take_in(sources, folder / "references")
    take_in_masks(sources, find_masks(sources), 2, [r.path for r in taken], folder / "masks")
    named = tuple(Concept(name=noun, noun=noun, trigger="") for noun in ("bear", "truck"))
    return RunConfig(name="bench", class_noun="bear", base="starter", concepts=named, training=training)
