"""Speed on this machine: `python -m pipelines.bench [--quick] [--json]`.

Loop efficiency is the trainer's steps/s over those of a bare loop: the same adapter in the same UNet,
one staged batch, forward, backward, AdamW, nothing else, and no code shared with the trainer. Blocks
alternate; the ratio is of medians. Times depend on the machine, the ratio hardly.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from adapters.record import Concept
from pipelines.base_models.load import load_base
from pipelines.generator import Generator, Request
from pipelines.lesson import Lesson, Picture
from pipelines.methods import recipe_builder
from pipelines.methods.common import resolve
from pipelines.proof import SAMPLES
from pipelines.references import list_folder, open_image, take_in
from pipelines.run_config import RunConfig
from pipelines.trainer import Trainer
from pipelines.training import pick_precision, train_run


class _StopAfter:
    """Lets a trainer take so many steps more."""

    def __init__(self, trainer: Trainer, steps: int) -> None:
        self.trainer, self.end = trainer, trainer.step + steps

    def stop_requested(self) -> bool:
        return self.trainer.step >= self.end


class _Never:
    def stop_requested(self) -> bool:
        return False


def loop_efficiency(blocks: int, steps: int) -> dict[str, float]:
    """Median seconds a step of both loops, their ratio, and the spread of the block ratios."""
    config = resolve("lora", "starter", steps=100_000, preview_every=0)
    precision = pick_precision("auto")
    accelerator = Accelerator(mixed_precision=precision)
    host = load_base("starter").to(accelerator.device)
    images = [open_image(p) for p in list_folder(SAMPLES / "koala")]
    lesson = Lesson(tuple(map(Picture, images)), (Concept(name="koala", noun="bear", trigger="zok"),))
    recipe = recipe_builder("lora")(host, config, lesson)
    recipe.adapter.inject(host, "trained")
    samples = recipe.samples()
    trainer = Trainer(host, recipe, samples, config, accelerator)

    generator = torch.Generator().manual_seed(1)
    staged = samples.sample(generator, config.batch)
    parameters = [p for group in recipe.adapter.groups().values() for p in group]
    optimizer = torch.optim.AdamW(parameters, 1e-9, weight_decay=0.0, fused=True)
    alphas = host.scheduler.alphas_cumprod
    unet, dtype = host.unet, {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)

    def bare() -> None:
        t = torch.randint(1000, (config.batch,))
        noise = torch.randn_like(staged.latents)
        a = alphas[t].view(-1, 1, 1, 1)
        with torch.autocast(host.device.type, dtype, enabled=dtype is not None):
            out = unet(a.sqrt() * staged.latents + (1 - a).sqrt() * noise, t, staged.text.states).sample
        target = a.sqrt() * noise - (1 - a).sqrt() * staged.latents
        torch.nn.functional.mse_loss(out.float(), target).backward()
        optimizer.step()
        optimizer.zero_grad()

    with tempfile.TemporaryFile("w") as log:
        def report(event: dict[str, Any]) -> None:
            log.write(json.dumps(event) + "\n")

        def studio_block() -> float:
            started = time.perf_counter()
            trainer.run(report=report, control=_StopAfter(trainer, steps))
            return (time.perf_counter() - started) / steps

        def bare_block() -> float:
            started = time.perf_counter()
            for _ in range(steps):
                bare()
            return (time.perf_counter() - started) / steps

        studio_block()
        bare_block()
        pairs = [(studio_block(), bare_block()) for _ in range(blocks)]
    studio, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = sorted(b / a for a, b in pairs)
    return {"studio": round(studio, 4), "bare": round(plain, 4), "ratio": round(plain / studio, 4),
            "lowest": round(ratios[0], 4), "highest": round(ratios[-1], 4)}


def image_seconds() -> float:
    """Median of 3 pictures of 20 steps with guidance, warm, fp32."""
    painter = Generator(load_base("starter"))
    times = []
    for seed in range(4):
        started = time.perf_counter()
        painter.paint(Request(prompt="a photo of a cat on the beach", seed=seed, steps=20))
        times.append(time.perf_counter() - started)
    return round(statistics.median(times[1:]), 2)


def training_seconds(steps: int) -> dict[str, float]:
    """A run of `steps` of batch 4: all of it, its steps alone, and the time to the first preview."""
    events: list[tuple[float, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        take_in(list_folder(SAMPLES / "koala"), folder / "references")
        RunConfig(name="bench", class_noun="bear", base="starter",
                  training=resolve("lora", "starter", steps=steps, batch=4, preview_every=50)).save(folder)
        started = time.perf_counter()
        train_run(folder, report=lambda e: events.append((time.perf_counter() - started, e)),
                  control=_Never())
        total = time.perf_counter() - started
    first = next((at for at, e in events if e["type"] == "preview" and e["step"] > 0), float("nan"))
    return {"total": round(total, 1), "first_preview": round(first, 1),
            "steps": round(sum(e["seconds"] for _, e in events if e["type"] == "step"), 1)}


def main() -> None:
    """Measure and print; with --json the last line is one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer blocks and steps")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    efficiency = loop_efficiency(*((4, 8) if options.quick else (8, 20)))
    steps = 60 if options.quick else 200
    training, picture = training_seconds(steps), image_seconds()
    print(f"loop efficiency    {efficiency['ratio']:.3f}  (blocks {efficiency['lowest']:.3f} to "
          f"{efficiency['highest']:.3f}; {efficiency['studio']:.3f} s against {efficiency['bare']:.3f} s a step)")
    print(f"{steps} steps of batch 4 {training['steps']:.0f} s, with loading and previews {training['total']:.0f} s")
    print(f"start to first preview {training['first_preview']:.1f} s")
    print(f"a picture of 20 steps  {picture:.2f} s")
    print(f"machine: {platform.machine()}, {torch.get_num_threads()} threads, {pick_precision('auto')}")
    if options.json:
        print(json.dumps({"loop_efficiency": {"lora": efficiency}, "training": {**training, "count": steps},
                          "image_seconds": picture}))


if __name__ == "__main__":
    main()
