"""What the starter is measured on: fixed prompts, and scenes packed with their captions.

Neither the prompts nor reading the packed scenes needs the emoji font; packing them does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.shipped import STARTER
from pipelines.starter.drawing import Order, scenes
from pipelines.starter.glyphs import Catalogue
from pipelines.starter.reading import Wanted
from pipelines.starter.world import Spec, World

EVALUATION = STARTER / "evaluation"
PACKED, ACROSS = 100, 10
PROMPT_SEED, _SCENE_SEED = 1, 50_000
SINGLES, SIDES, STACKS, UNSEEN = 300, 130, 70, 60


@dataclass(frozen=True)
class Prompt:
    """`group` is "seen" for the 500 prompts that the figures are taken on, else what is held out of it."""

    text: str
    wanted: Wanted
    group: str


def prompts() -> list[Prompt]:
    """All prompts: 300 single objects with every class in turn, 200 pairs, then 60 each with a held-out
    colour and with a held-out pair of objects."""
    known = Catalogue().trainable()
    rng = np.random.default_rng(PROMPT_SEED)
    single = World(known, coloured=0.4, styled=0.45, sized=0.15)
    pairs = World(known, coloured=0.2, styled=0.25)
    colours = World(known, unseen="colour", styled=0.0)
    objects = World(known, unseen="objects", coloured=0.0, styled=0.0)

    def specs() -> Iterator[tuple[str, Spec]]:
        for n in range(SINGLES):
            yield "seen", single.spec(rng, vary=False, noun=single.nouns[n % len(single.nouns)])
        for n in range(SIDES + STACKS):
            yield "seen", pairs.spec(rng, vary=False, relation="side" if n < SIDES else "stack")
        for world, group in ((colours, "unseen colour"), (objects, "unseen objects")):
            for _ in range(UNSEEN):
                yield group, world.spec(rng, vary=False)

    return [Prompt(s.caption, Wanted.of(s), group) for group, s in specs()]


def pack(size: int, seed: int, folder: Path = EVALUATION) -> None:
    """PACKED scenes that no stage was trained on, as one lossless atlas, and their exact captions."""
    pictures, specs = scenes(Order(seed + _SCENE_SEED, size, vary=False), PACKED)
    atlas = Image.new("RGB", (ACROSS * size, PACKED // ACROSS * size))
    for n, picture in enumerate(pictures):
        atlas.paste(Image.fromarray(picture), (n % ACROSS * size, n // ACROSS * size))
    folder.mkdir(parents=True, exist_ok=True)
    atlas.save(folder / "scenes.webp", lossless=True, quality=100, method=6)
    (folder / "captions.json").write_text(json.dumps([s.caption for s in specs], indent=0) + "\n", "utf-8")


def unpack(folder: Path = EVALUATION) -> tuple[list[Image.Image], list[str]]:
    """The packed scenes and their captions."""
    captions = json.loads((folder / "captions.json").read_text("utf-8"))
    atlas = Image.open(folder / "scenes.webp").convert("RGB")
    side = atlas.width // ACROSS
    return [atlas.crop((x, y, x + side, y + side)) for y in range(0, atlas.height, side)
            for x in range(0, atlas.width, side)], captions
