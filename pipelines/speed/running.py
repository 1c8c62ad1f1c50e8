"""Whole runs and pictures on the starter, timed."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from pipelines.base_models.load import load_base
from pipelines.generator import Generator, Request
from pipelines.methods.common import resolve
from pipelines.references import list_folder, take_in
from pipelines.run_config import RunConfig
from pipelines.shipped import SAMPLES
from pipelines.trainer import Uninterrupted
from pipelines.training import train_run


def image_seconds(count: int = 3) -> float:
    """Median of `count` pictures of 20 steps with guidance, warm, fp32."""
    painter = Generator(load_base("starter"))
    times = []
    for seed in range(count + 1):
        started = time.perf_counter()
        painter.paint(Request(prompt="a photo of a cat on the beach", seed=seed, steps=20))
        times.append(time.perf_counter() - started)
    return round(statistics.median(times[1:]), 2)


def training_seconds(steps: int, method: str = "lora") -> dict[str, float]:
    """A run of `steps` of batch 4: all of it, its steps alone, and the time to the first preview."""
    events: list[tuple[float, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        take_in(list_folder(SAMPLES / "koala"), folder / "references")
        RunConfig(name="bench", class_noun="bear", base="starter",
                  training=resolve(method, "starter", steps=steps, batch=4, preview_every=50)).save(folder)
        started = time.perf_counter()
        train_run(folder, report=lambda e: events.append((time.perf_counter() - started, e)),
                  control=Uninterrupted())
        total = time.perf_counter() - started
    first = next((at for at, e in events if e["type"] == "preview" and e["step"] > 0), float("nan"))
    return {"total": round(total, 1), "first_preview": round(first, 1), "count": steps,
            "steps": round(sum(e["seconds"] for _, e in events if e["type"] == "step"), 1)}
