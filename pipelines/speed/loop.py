"""Loop efficiency: the trainer's steps/s over those of a flat script on the same base, method and batches.

The flat script has the method's own forward, text encoder and probe where it needs them, losses,
backward and AdamW on staged batches, and nothing else; it shares no code with the trainer. Blocks
alternate, the ratio is of medians. Times depend on the machine, the ratio hardly.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from adapters.host import Host
from adapters.record import Concept
from adapters.text import Conditioning, Tokens
from pipelines.base_models.load import load_base
from pipelines.lesson import Lesson, Picture
from pipelines.masks import find_masks, open_mask
from pipelines.methods import config_class, recipe_builder
from pipelines.methods.common import TrainingConfig, resolve
from pipelines.precision import pick_precision
from pipelines.recipe import Prediction, Recipe, Samples
from pipelines.references import list_folder, open_image
from pipelines.shipped import SAMPLES
from pipelines.trainer import Trainer

STAGED = 8


@dataclass(frozen=True)
class Efficiency:
    """Median seconds a step of both loops, the ratio of these, and the spread of the blocks' ratios."""

    studio: float
    bare: float
    ratio: float
    lowest: float
    highest: float


class _StopAfter:
    """Lets a trainer take so many steps more."""

    def __init__(self, trainer: Trainer, steps: int) -> None:
        self.trainer, self.end = trainer, trainer.step + steps

    def stop_requested(self) -> bool:
        return self.trainer.step >= self.end


def settings(method: str) -> TrainingConfig:
    """The balanced preset, long enough to stay in the phase that trains most."""
    wanted: dict[str, Any] = {"steps": 100_000, "preview_every": 0, "masks": "given", "prior_images": 4}
    if "word_share" in config_class(method).model_fields:
        wanted["word_share"] = 0.0
    return resolve(method, "starter", **wanted)


def lesson_of(method: str, cache: Path) -> Lesson:
    """The koala, or a scene of two where masks are needed; class images are grey, which costs the same."""
    several = config_class(method).needs_masks
    folder = SAMPLES / ("scenes/koala-firetruck" if several else "koala")
    paths = list_folder(folder)
    pictures = []
    for path, masks in zip(paths, find_masks(paths), strict=True):
        image = open_image(path)
        pictures.append(Picture(image, tuple(open_mask(m, image) for m in masks)))
    learned = several or method in ("perfusion", "textual-inversion")
    concepts = tuple(Concept(name=n, noun=n, trigger=f"<{n}>" if learned else "zok", learned=learned)
                     for n in (("bear", "truck") if several else ("bear",)))
    return Lesson(tuple(pictures), concepts, cache=cache,
                  class_images=lambda noun, count: [pictures[0].image.convert("L").convert("RGB")] * count)


def loop_efficiency(method: str, blocks: int, steps: int, cache: Path) -> Efficiency:
    """Both loops on the starter, `blocks` blocks of `steps` steps each, after one block each to warm up."""
    config = settings(method)
    AcceleratorState._reset_state()
    accelerator = Accelerator(mixed_precision=pick_precision("auto"))
    host = load_base("starter").to(accelerator.device)
    recipe = recipe_builder(method)(host, config, lesson_of(method, cache))
    recipe.adapter.inject(host, "trained")
    phase = recipe.phases[-1]
    samples = (phase.samples or recipe.samples)()
    trainer = Trainer(host, recipe, samples, config, accelerator)
    bare = bare_step(host, recipe, samples, config)
    with tempfile.TemporaryFile("w") as log:
        def report(event: dict[str, Any]) -> None:
            log.write(json.dumps(event) + "\n")

        def studio_block() -> None:
            trainer.run(report=report, control=_StopAfter(trainer, steps))

        def bare_block() -> None:
            for _ in range(steps):
                bare()

        studio_block()
        bare_block()
        pairs = [(_timed(studio_block) / steps, _timed(bare_block) / steps) for _ in range(blocks)]
    recipe.adapter.eject()
    studio, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = sorted(b / a for a, b in pairs)
    return Efficiency(*(round(v, 4) for v in (studio, plain, plain / studio, ratios[0], ratios[-1])))


def bare_step(host: Host, recipe: Recipe, samples: Samples, config: TrainingConfig) -> Callable[[], None]:
    """One step as a person would write it by hand in a notebook."""
    staged = [samples.sample(torch.Generator().manual_seed(n), config.batch) for n in range(STAGED)]
    parameters = [p for name in recipe.phases[-1].rates for p in recipe.adapter.groups()[name]]
    optimizer = torch.optim.AdamW(parameters, 1e-9, weight_decay=0.0, fused=True)
    alphas = host.scheduler.alphas_cumprod.to(host.device)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(pick_precision("auto"))
    velocity = host.scheduler.config.prediction_type == "v_prediction"
    probe = recipe.probe() if recipe.probe else None
    objective = recipe.phases[-1].objective or recipe.objective
    count = 0

    def step() -> None:
        nonlocal count
        batch = staged[count % STAGED]
        count += 1
        x = batch.latents.float()
        t = torch.randint(1000, (len(x),), device=x.device)
        noise, a = torch.randn_like(x), alphas[t].view(-1, 1, 1, 1)
        with torch.autocast(host.device.type, dtype, enabled=dtype is not None):
            text = batch.text if isinstance(batch.text, Conditioning) else host.text.encode(batch.text)
            with probe.watching() if probe else contextlib.nullcontext():
                out = host.denoise(a.sqrt() * x + (1 - a).sqrt() * noise, t, text, batch.sizes)
            seen = probe.read(batch.text) if probe and isinstance(batch.text, Tokens) else None
            target = a.sqrt() * noise - (1 - a).sqrt() * x if velocity else noise
            losses = objective(Prediction(out.float(), target, (a / (1 - a)).flatten(), seen), batch)
            torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    for p in parameters:
        p.requires_grad_(True)
    return step


def _timed(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
