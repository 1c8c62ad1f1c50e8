"""The starter's figures: `python -m pipelines.starter.report` (make starter-report).

500 fixed prompts over every class the base knows and 120 of held-out combinations, painted with fixed
seeds and judged by the network that was trained apart; the autoencoder and the text-image pair on packed
scenes that they never saw. Needs neither the emoji font nor a network. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from adapters.errors import StudioError
from adapters.files import write_text
from pipelines.contact_sheet import grid
from pipelines.shipped import REPORT, STARTER
from pipelines.starter.autoencoder import reconstruct
from pipelines.starter.evaluation import PROMPT_SEED, Prompt, prompts, unpack
from pipelines.starter.judge import SceneJudge, labels, load_scene_judge
from pipelines.starter.pair import FOLDER, Pair
from pipelines.starter.photos import photo_folder, split_subjects, squares
from pipelines.starter.reading import FIGURES, interval, outcomes, read
from pipelines.starter.styles import DRAWN

BATCH, STEPS, GUIDANCE, SHEET = 10, 20, 4.0, 64
NOT_HERE = "not measured here"


def paint(pipeline: StableDiffusionPipeline, texts: list[str]) -> list[Image.Image]:
    """One picture a text; its seed is its place in the list."""
    images: list[Image.Image] = []
    for start in range(0, len(texts), BATCH):
        part = texts[start:start + BATCH]
        images += pipeline(part, num_inference_steps=STEPS, guidance_scale=GUIDANCE,
                           generator=[torch.Generator().manual_seed(start + n) for n in range(len(part))]).images
        print(f"{len(images)}/{len(texts)} painted", flush=True)
    return images


def seconds_per_image(pipeline: StableDiffusionPipeline, texts: list[str]) -> float:
    """Median over three pictures painted one at a time."""
    times = []
    for seed, text in enumerate(texts[:3]):
        started = time.perf_counter()
        pipeline(text, num_inference_steps=STEPS, guidance_scale=GUIDANCE,
                 generator=torch.Generator().manual_seed(seed))
        times.append(time.perf_counter() - started)
    return round(statistics.median(times), 2)


def rate(right: list[bool]) -> float | None:
    """The mean, rounded; None where there was nothing to take it on."""
    return round(statistics.fmean(right), 4) if right else None


def painted_figures(asked: list[Prompt], images: list[Image.Image], judge: SceneJudge) -> dict[str, Any]:
    """Rates on the seen prompts with their intervals, and what the held-out combinations keep of them."""
    said = read(judge, images)

    def among(group: str, style: str | None = None) -> dict[str, list[bool]]:
        chosen = [(p.wanted, r) for p, r in zip(asked, said, strict=True)
                  if p.group == group and style in (None, p.wanted.style)]
        return outcomes([w for w, _ in chosen], [r for _, r in chosen])

    seen, drawn = among("seen"), among("seen", DRAWN)
    figures: dict[str, Any] = {k: rate(seen[k]) for k in FIGURES}
    figures["intervals"] = {k: interval(v) for k, v in seen.items()}
    figures["trials"] = {k: len(v) for k, v in seen.items()}
    figures["class_as_drawn"], figures["colour_as_drawn"] = rate(drawn["class"]), rate(drawn["colour"])
    figures["both_as_drawn"] = rate(drawn["both"])
    unseen_colour, unseen_both = among("unseen colour")["colour"], among("unseen objects")["both"]
    figures["unseen_colour"], figures["unseen_both"] = rate(unseen_colour), rate(unseen_both)
    figures["intervals"] |= {"unseen_colour": interval(unseen_colour), "unseen_both": interval(unseen_both)}
    missed = sorted({p.wanted.nouns[0] for p, r in zip(asked, said, strict=True) if len(p.wanted.nouns) == 1
                     and p.group == "seen" and r.nouns(1) != set(p.wanted.nouns)})
    print(f"classes sometimes missed: {', '.join(missed) or 'none'}")
    return figures


def packed_figures(pipeline: StableDiffusionPipeline, starter: Path) -> dict[str, Any]:
    """The autoencoder on unseen scenes and photos, the pair on unseen captions."""
    pictures, captions = unpack(starter / "evaluation")
    side = pipeline.vae.config.sample_size
    through = reconstruct(pipeline.vae, [p.resize((side, side)) for p in pictures])
    figures: dict[str, Any] = {"vae_db": round(through, 2), "photo_db": NOT_HERE, "retrieval": NOT_HERE,
                               "packed_scenes": len(pictures)}
    if folder := photo_folder():
        figures["photo_db"] = round(reconstruct(pipeline.vae, squares(split_subjects(folder).kept_out, side)), 2)
    if (starter / "pipeline" / FOLDER).exists():
        cosines, right = Pair(starter / "pipeline").similarity(pictures, captions), torch.arange(len(pictures))
        figures["retrieval"] = rate((cosines.argmax(1) == right).tolist())
        figures["retrieval_of_pictures"] = rate((cosines.argmax(0) == right).tolist())
    return figures


def measure(starter: Path, count: int | None, sheet: Path) -> dict[str, Any]:
    """All figures of `starter`, a folder as `export` writes it; `count` takes evenly spread prompts only."""
    began = time.monotonic()
    judge = load_scene_judge(starter / "judges")
    pipeline = StableDiffusionPipeline.from_pretrained(starter / "pipeline", local_files_only=True).to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    asked = prompts()
    if count and count < len(asked):
        asked = [asked[n * len(asked) // count] for n in range(count)]
    images = paint(pipeline, [p.text for p in asked])
    first = [n * len(asked) // min(SHEET, len(asked)) for n in range(min(SHEET, len(asked)))]
    grid([images[n] for n in first], [asked[n].text for n in first], sheet, side=160)
    figures = painted_figures(asked, images, judge) | packed_figures(pipeline, starter)
    figures["seconds_per_image"] = seconds_per_image(pipeline, [p.text for p in asked])
    return figures | {
        "judge_on_drawn_scenes": labels(starter / "judges" / "scene_judge.safetensors")["accuracy"],
        "prompts": sum(p.group == "seen" for p in asked),
        "prompts_of_unseen_combinations": sum(p.group != "seen" for p in asked), "classes": len(judge.nouns),
        "steps": STEPS, "guidance": GUIDANCE,
        "seeds": f"prompts {PROMPT_SEED}, pictures 0-{len(asked) - 1}",
        "machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "minutes": round((time.monotonic() - began) / 60, 1),
    }


def write_card(figures: dict[str, Any], card: Path) -> None:
    """Put the figures into the model card, between its marks."""
    text = card.read_text("utf-8")
    start, end = "<!-- figures -->\n", "<!-- /figures -->"
    rows = "".join(f"| {name} | {value} |\n" for name, value in figures.items())
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    write_text(card, f"{before}{start}| figure | value |\n|---|---|\n{rows}{end}{after}")


def main() -> int:
    """Measure, print, keep a contact sheet; exit code 2 when something needed is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, help="this many of the prompts only, evenly spread")
    parser.add_argument("--starter", type=Path, default=STARTER, help="a folder as the stage 'export' writes it")
    parser.add_argument("--sheet", type=Path, help="where 64 of the pictures go; docs/starter.png with --write")
    parser.add_argument("--write", action="store_true", help="put the figures into the model card and the report")
    options = parser.parse_args()
    sheet = options.sheet or Path("docs/starter.png" if options.write else ".starter-training/sheet.png")
    try:
        figures = measure(options.starter, options.prompts, sheet)
    except StudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.write:
        write_card(figures, options.starter / "README.md")
        write_text(REPORT / "starter.json", json.dumps(figures) + "\n")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
