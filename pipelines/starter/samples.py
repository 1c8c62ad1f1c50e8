"""Sample concepts of what the base never saw: `python -m pipelines.starter.samples`. Needs the emoji font.

Under `assets/samples`: reference sets of five pictures of one held-out individual; `scenes`, one picture
of two or three held-out individuals with a mask of each; `style`, five pictures in the held-out style.
`development` holds more of the first two, to choose settings on. Every folder has a `sample.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pipelines.shipped import SAMPLES
from pipelines.starter.captions import article
from pipelines.starter.glyphs import Catalogue, Individual
from pipelines.starter.scenes import SCENES
from pipelines.starter.world import Spec, draw, place_one, place_row

# The first three are the proof's. The alien's shape is unlike its class: a pixelated creature where the base
# knows a smooth head.
SETS = {"koala": "🐨", "firetruck": "🚒", "pixelalien": "👾", "unicorn": "🦄", "cupcake": "🧁", "tyrannosaur": "🦖"}
DEVELOPMENT_SETS = {"poodle": "🐩", "racecar": "🏎️"}
PLACES = ("white", "meadow", "room", "snow", "pink")
MULTI = {
    "koala-firetruck": ("🐨 🚒", "meadow"), "owl-cap": ("🦉 🧢", "room"), "cupcake-tyrannosaur": ("🧁 🦖", "beach"),
    "unicorn-volleyball-purse": ("🦄 🏐 👛", "snow"), "flamingo-banjo-boot": ("🦩 🪕 👢", "kitchen"),
    "poodle-pixelalien-pagoda": ("🐩 👾 🏯", "desert"),
}
DEVELOPMENT_MULTI = {"boar-hibiscus": ("🐗 🌺", "forest"), "pufferfish-bubbletea-racecar": ("🐡 🧋 🏎️", "mountains")}
STYLE = "neon"
STYLE_PICTURES = (("🐘", "beach"), ("🚗", "city"), ("🌵", "desert"), ("🏰", "night"), ("🦊", "forest"))
SIZE = 256
_SEED = 4711


def _write(folder: Path, about: dict[str, object]) -> None:
    (folder / "sample.json").write_text(json.dumps(about, ensure_ascii=False) + "\n", "utf-8")


def draw_set(folder: Path, who: Individual, seed: int) -> None:
    """Five pictures of `who`, each in another scene."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for n, scene in enumerate(PLACES):
        picture = draw(rng, Spec(scene, (place_one(rng, who, None),), ""), SIZE).image
        picture.save(folder / f"{n}.png", optimize=True)
    _write(folder, {"glyph": who.glyph, "noun": who.teacher})


def draw_multi(folder: Path, who: list[Individual], scene: str, seed: int) -> None:
    """One picture with all of `who` in a row: `img.png`, and `mask0.png` and so on from the left."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rendered = draw(rng, Spec(scene, place_row(rng, who, [None] * len(who)), ""), SIZE)
    rendered.image.save(folder / "img.png", optimize=True)
    for n, mask in enumerate(rendered.masks):
        mask.point(lambda value: 255 * (value >= 128)).convert("1").save(folder / f"mask{n}.png", optimize=True)
    _write(folder, {"nouns": [i.teacher for i in who], "glyphs": [i.glyph for i in who], "scene": scene})


def draw_style(folder: Path, individuals: dict[str, Individual], seed: int) -> None:
    """Known individuals in known scenes, drawn in the style that the base never saw."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    captions = []
    for n, (glyph, scene) in enumerate(STYLE_PICTURES):
        spec = Spec(scene, (place_one(rng, individuals[glyph], None),), "", STYLE)
        draw(rng, spec, SIZE).image.save(folder / f"{n}.png", optimize=True)
        captions.append(f"{article(individuals[glyph].noun)} {SCENES[scene].phrases[0]}")
    _write(folder, {"style": STYLE, "captions": captions})


def main() -> None:
    """Draw everything anew; the same pictures each time."""
    catalogue = Catalogue()
    held_out = {i.glyph: i for i in catalogue.held_out()}
    spare = SAMPLES / "development"
    for place, sets, first in ((SAMPLES, SETS, 0), (spare, DEVELOPMENT_SETS, 50)):
        for number, (name, glyph) in enumerate(sets.items()):
            draw_set(place / name, held_out[glyph], _SEED + first + number)
    for place, multi, first in ((SAMPLES / "scenes", MULTI, 100), (spare / "scenes", DEVELOPMENT_MULTI, 150)):
        for number, (name, (glyphs, scene)) in enumerate(multi.items()):
            draw_multi(place / name, [held_out[g] for g in glyphs.split()], scene, _SEED + first + number)
    draw_style(SAMPLES / "style" / STYLE, {i.glyph: i for i in catalogue.trainable()}, _SEED + 200)


if __name__ == "__main__":
    main()
