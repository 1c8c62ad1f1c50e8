"""The starter's figures: `python -m pipelines.starter.report` (make starter-report).

300 fixed prompts over every class the base knows, painted with fixed seeds and judged by the network
that was trained apart; the autoencoder on packed scenes that it never saw. Needs neither the emoji
font nor a network. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from adapters.files import write_text
from pipelines.shipped import REPORT
from pipelines.starter.judge import ASSETS, labels, load_scene_judge
from pipelines.starter.likeness import classes_of, scenes_of
from pipelines.starter.scenes import SCENES
from pipelines.starter.stage import to_tensor
from pipelines.wording import with_article

EVALUATION = ASSETS / "evaluation" / "scenes.png"
PROMPTS, BATCH, STEPS, GUIDANCE = 300, 10, 20, 4.0


def prompts(nouns: list[str], count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """(prompt, class, scene): classes in turn, scenes at random."""
    rng = random.Random(seed)
    found = []
    for n in range(count):
        noun, scene = nouns[n % len(nouns)], rng.choice(list(SCENES))
        found.append((f"a photo of {with_article(noun)} {SCENES[scene].phrases[0]}", noun, scene))
    return found


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean over pictures [N, 3, H, W] in -1..1 of the peak signal-to-noise ratio, in dB."""
    error = (a - b).square().mean((1, 2, 3)).clamp(min=1e-12)
    return float((10 * torch.log10(4 / error)).mean())


def unpack(path: Path, side: int) -> list[Image.Image]:
    """The pictures of a square atlas."""
    atlas = Image.open(path).convert("RGB")
    return [atlas.crop((x, y, x + side, y + side)) for y in range(0, atlas.height, side)
            for x in range(0, atlas.width, side)]


def autoencoder_psnr(pipeline: StableDiffusionPipeline, side: int) -> float:
    """On the packed unseen scenes."""
    x = to_tensor(unpack(EVALUATION, side))
    with torch.no_grad():
        y = torch.cat([pipeline.vae.decode(pipeline.vae.encode(part).latent_dist.mean).sample
                       for part in x.split(16)])
    return psnr(x, y.clamp(-1, 1))


def main() -> None:
    """Measure, print, keep a contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--base", type=Path, default=ASSETS / "pipeline")
    parser.add_argument("--sheet", type=Path, default=Path("docs/starter.png"))
    parser.add_argument("--write", action="store_true", help="put the figures into the model card")
    options = parser.parse_args()
    pipeline = StableDiffusionPipeline.from_pretrained(options.base, local_files_only=True).to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    judge = load_scene_judge()
    wanted = prompts(judge.nouns, options.prompts)
    images: list[Image.Image] = []
    for start in range(0, len(wanted), BATCH):
        part = wanted[start:start + BATCH]
        images += pipeline([p for p, _, _ in part], num_inference_steps=STEPS, guidance_scale=GUIDANCE,
                           generator=[torch.Generator().manual_seed(start + n) for n in range(len(part))]
                           ).images
        print(f"{len(images)}/{len(wanted)} painted", flush=True)
    seen, places = classes_of(judge, images), scenes_of(judge, images)
    right = [a == b for a, (_, b, _) in zip(seen, wanted, strict=True)]
    where = [a == b for a, (_, _, b) in zip(places, wanted, strict=True)]
    times = []
    for seed in range(3):
        started = time.perf_counter()
        pipeline(wanted[seed][0], num_inference_steps=STEPS, guidance_scale=GUIDANCE,
                 generator=torch.Generator().manual_seed(seed))
        times.append(time.perf_counter() - started)
    _sheet(images[:64], options.sheet)
    rate = statistics.fmean(right)
    missed = sorted({b for ok, (_, b, _) in zip(right, wanted, strict=True) if not ok})
    print(f"classes sometimes missed: {', '.join(missed)}")
    print(f"judge's own accuracy on unseen scenes: {labels(ASSETS / 'judges' / 'scene_judge.safetensors')['accuracy']}")
    figures = {
        "class": round(rate, 4), "class_interval": round(1.96 * math.sqrt(rate * (1 - rate) / len(right)), 4),
        "scene": round(statistics.fmean(where), 4), "vae_db": round(autoencoder_psnr(pipeline, images[0].width), 2),
        "seconds_per_image": round(statistics.median(times), 2), "prompts": len(wanted),
        "classes": len(judge.nouns), "steps": STEPS, "guidance": GUIDANCE,
        "machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
    }
    if options.write:
        _write_card(figures)
        write_text(REPORT / "starter.json", json.dumps(figures) + "\n")
    print(json.dumps(figures))


def _write_card(figures: dict[str, object]) -> None:
    """Put the figures into the model card, between its marks."""
    card = ASSETS / "README.md"
    text = card.read_text("utf-8")
    start, end = "<!-- figures -->\n", "<!-- /figures -->"
    rows = "".join(f"| {name} | {value} |\n" for name, value in figures.items())
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    write_text(card, f"{before}{start}| figure | value |\n|---|---|\n{rows}{end}{after}")


def _sheet(images: list[Image.Image], path: Path) -> None:
    if not images:
        return
    side = images[0].width
    sheet = Image.new("RGB", (8 * side, math.ceil(len(images) / 8) * side), "white")
    for n, image in enumerate(images):
        sheet.paste(image, (n % 8 * side, n // 8 * side))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(sheet)).save(path, optimize=True)


if __name__ == "__main__":
    main()
