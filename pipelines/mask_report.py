"""How well masks are found: `python -m pipelines.mask_report [--source NAME] [--model DIR] [--base BASE] [--json]`.

Intersection over union with the true masks of the sample scenes: of each thing in its whole scene, found by its
noun among two or three, and of each thing alone, cut out with some of what is around it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from adapters.errors import StudioError
from pipelines.base_models.load import load_base
from pipelines.mask_sources import SOURCES, MaskSource, grabcut, open_source
from pipelines.references import open_image
from pipelines.shipped import SAMPLES

SCENES = SAMPLES / "scenes"
_AROUND = 1.7  # side of a cut-out, in the thing's longer sides
_SMALLEST = 64  # pixels


class Rectangle(grabcut.Source):
    """GrabCut begun from a centred rectangle, for comparison; whatever the noun is."""

    def masks(self, images: Sequence[Image.Image], noun: str) -> list[Image.Image]:
        """Hard masks."""
        return [self.cut(i, Image.new("L", i.size, 255)) for i in images]


def overlap(found: Image.Image, true: Image.Image) -> float:
    """Intersection over union of two masks, white from the middle grey on."""
    a, b = (np.asarray(m.convert("L")) > 127 for m in (found, true))
    return float((a & b).sum() / max((a | b).sum(), 1))


def cut_out(true: Image.Image) -> tuple[int, int, int, int]:
    """A square box (left, top, right, bottom) around what is white, moved to be inside the picture."""
    left, top, right, bottom = true.getbbox() or (0, 0, *true.size)
    side = min(max(round(_AROUND * max(right - left, bottom - top)), _SMALLEST), *true.size)
    x, y = (min(max((a + b - side) // 2, 0), whole - side)
            for a, b, whole in ((left, right, true.width), (top, bottom, true.height)))
    return x, y, x + side, y + side


def measure(source: MaskSource, scenes: Path) -> dict[str, float]:
    """Mean overlap over all things of all scenes: `scene`, and `alone` for cut-outs."""
    whole, alone = list[float](), list[float]()
    for folder in sorted(p.parent for p in scenes.glob("*/sample.json")):
        image = open_image(folder / "img.png")
        for n, noun in enumerate(json.loads((folder / "sample.json").read_text("utf-8"))["nouns"]):
            true = open_image(folder / f"mask{n}.png").convert("L")
            box = cut_out(true)
            in_scene, by_itself = (source.masks([i], noun)[0] for i in (image, image.crop(box)))
            whole.append(overlap(in_scene, true))
            alone.append(overlap(by_itself, true.crop(box)))
    return {"scene": round(statistics.mean(whole), 3), "alone": round(statistics.mean(alone), 3), "things": len(whole)}


def main() -> int:
    """Print a line for each source."""
    parser = argparse.ArgumentParser("pipelines.mask_report", description=__doc__)
    parser.add_argument("--source", action="append", choices=(*SOURCES, "rectangle"),
                        help="again and again; the ones that need no weights when not given")
    parser.add_argument("--model", default="", help="folder or hub id of CLIPSeg's or SAM's weights")
    parser.add_argument("--base", default="starter")
    parser.add_argument("--scenes", type=Path, default=SCENES)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {}
    try:
        host = load_base(options.base, offline=True)
        for name in options.source or ("attention", "grabcut", "rectangle"):
            source: MaskSource = Rectangle(host) if name == "rectangle" else open_source(name, host, options.model)
            found[name] = measure(source, options.scenes)
            print(f"{name:10} IoU in the scene {found[name]['scene']:.3f}, alone {found[name]['alone']:.3f} "
                  f"({found[name]['things']} things)", file=sys.stderr if options.json else sys.stdout, flush=True)
    except StudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
