"""Proof that a method learns: `python -m pipelines.proof [--method METHOD] [--only NAME] [--json]`.

Trains on held-out individuals (`assets/samples`), paints 8 scenes x 3 seeds with and without the
adapter, and asks the judges that were trained apart. Prints one line a set and keeps a contact sheet.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from adapters.errors import StudioError
from adapters.record import read_record
from pipelines.generator import Request
from pipelines.methods import METHODS, config_class
from pipelines.methods.common import resolve
from pipelines.painter import Painter
from pipelines.references import list_folder, open_image, take_in
from pipelines.run_config import RunConfig
from pipelines.shipped import SAMPLES
from pipelines.starter.judge import load_scene_judge
from pipelines.starter.likeness import Gallery, scenes_of
from pipelines.starter.scenes import SCENES
from pipelines.trainer import Uninterrupted
from pipelines.training import train_run
from pipelines.wording import with_article

SETS = ("koala", "firetruck", "pixelalien")
PLACES = ("beach", "snow", "city", "forest", "desert", "night", "sea", "mountains")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Figures:
    """What the judges said of one set. Rates are 0-1; `gain` is the cosine over no adapter."""

    name: str
    method: str
    images: int
    gallery: int
    recall5: float
    recall5_base: float
    cosine: float
    cosine_base: float
    gain: float
    standard_error: float
    scene_kept: float
    scene_kept_base: float
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the set proves learning: recall, gain over the base, and scenes kept."""
        return (self.recall5 >= 0.5 and self.recall5 - self.recall5_base >= 0.3
                and self.gain > 2 * self.standard_error and self.scene_kept >= 0.9)


def _log(event: dict[str, object]) -> None:
    if event["type"] == "step" and int(str(event["step"])) % 50 == 0:
        print(f"  step {event['step']}/{event['total']} loss {event['loss']:.4f}", file=sys.stderr,
              flush=True)


def prove(name: str, work: Path, sheet: Path | None = None, *, method: str = "lora",
          preset: str = "balanced", **overrides: Any) -> Figures:
    """Train on one sample set and measure; writes a contact sheet when `sheet` is given."""
    source = SAMPLES / name
    sample = json.loads((source / "sample.json").read_text("utf-8"))
    folder = work / name
    references = take_in(list_folder(source), folder / "references")
    RunConfig(
        name=name, class_noun=sample["noun"], base="starter",
        image_hashes=tuple(r.sha256 for r in references),
        training=resolve(method, "starter", preset, **{"preview_every": 0, **overrides}),
    ).save(folder)
    started = time.monotonic()
    adapter = train_run(folder, report=_log, control=Uninterrupted())
    seconds = time.monotonic() - started
    assert adapter is not None  # noqa: S101 -- nothing asks this run to stop
    return measure(name, sample["glyph"], method, adapter, seconds, references[0].path.parent, sheet)


def measure(name: str, glyph: str, method: str, adapter: Path, seconds: float, references: Path,
            sheet: Path | None = None) -> Figures:
    """Paint with and without the adapter file and ask the judges; `glyph` is who it should show."""
    record = read_record(adapter)
    # A learned word means nothing to the base, which is asked for the class instead.
    learned = any(c.learned for c in record.concepts)
    words = {"with": record.phrase, "without": record.class_noun if learned else record.phrase}
    prompts = {kind: [f"a photo of {with_article(w)} {SCENES[p].phrases[0]}" for p in PLACES]
               for kind, w in words.items()}
    painter, gallery, judge = Painter(), Gallery(), load_scene_judge()
    rows = {kind: _paint(painter, prompts[kind], chosen) for kind, chosen in
            (("with", [(adapter, 1.0)]), ("without", []))}
    found = {kind: gallery.retrieve(images, glyph) for kind, images in rows.items()}
    wanted = [p for p in PLACES for _ in SEEDS]
    kept = {kind: sum(a == b for a, b in zip(scenes_of(judge, images), wanted, strict=True)) / len(wanted)
            for kind, images in rows.items()}
    gains = [a - b for a, b in zip(found["with"].cosines, found["without"].cosines, strict=True)]
    if sheet:
        _contact_sheet([open_image(p) for p in list_folder(references)], rows["without"], rows["with"],
                       sheet)
    return Figures(
        name=name, method=method, images=len(gains), gallery=len(gallery),
        recall5=found["with"].recall(5), recall5_base=found["without"].recall(5),
        cosine=statistics.fmean(found["with"].cosines),
        cosine_base=statistics.fmean(found["without"].cosines), gain=statistics.fmean(gains),
        standard_error=statistics.stdev(gains) / math.sqrt(len(gains)),
        scene_kept=kept["with"], scene_kept_base=kept["without"], seconds=round(seconds, 1),
    )


def _paint(painter: Painter, prompts: Sequence[str],
           adapters: Sequence[tuple[Path, float]]) -> list[Image.Image]:
    return [painter.paint("starter", adapters, Request(prompt=prompt, seed=seed)).images[0]
            for prompt in prompts for seed in SEEDS]


def _contact_sheet(references: list[Image.Image], without: list[Image.Image],
                   painted: list[Image.Image], path: Path) -> None:
    """References, then for each scene the first seed without and all seeds with the adapter."""
    side, gap, label = 112, 6, 78
    columns = len(PLACES)
    sheet = Image.new("RGB", (label + columns * (side + gap), (2 + len(SEEDS)) * (side + gap) + gap), "white")
    draw = ImageDraw.Draw(sheet)
    n = len(SEEDS)
    rows = [("learned from", references[:columns]), ("without", without[::n])]
    rows += [(f"with, seed {seed}", painted[k::n]) for k, seed in enumerate(SEEDS)]
    for row, (title, images) in enumerate(rows):
        y = gap + row * (side + gap)
        draw.text((4, y + side // 2 - 6), title, fill="black")
        for column, image in enumerate(images):
            sheet.paste(image.resize((side, side), Image.Resampling.LANCZOS),
                        (label + column * (side + gap), y))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)


def main() -> int:
    """All sets, or one; exit code 1 when one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=SETS)
    parser.add_argument("--method", default="lora", choices=[m for m in METHODS if not config_class(m).needs_masks])
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--sheets", type=Path, default=Path("docs/proof"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = []
    try:
        for name in [options.only] if options.only else SETS:
            stem = name if options.method == "lora" else f"{name}-{options.method}"
            with tempfile.TemporaryDirectory() as work:
                figures = prove(name, Path(work), options.sheets / f"{stem}.png", method=options.method,
                                preset=options.preset)
            results.append(figures)
            print(f"{name:12} recall@5 {figures.recall5:.2f} (without {figures.recall5_base:.2f}) of "
                  f"{figures.gallery}, cosine gain {figures.gain:.3f} +- {figures.standard_error:.3f}, "
                  f"scene kept {figures.scene_kept:.2f} (without {figures.scene_kept_base:.2f}), "
                  f"{figures.seconds:.0f} s: {'holds' if figures.holds else 'DOES NOT HOLD'}", flush=True)
    except StudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([asdict(f) | {"holds": f.holds} for f in results]))
    return 0 if all(f.holds for f in results) else 1


if __name__ == "__main__":
    sys.exit(main())
