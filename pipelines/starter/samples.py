"""Sample reference sets of held-out individuals: `python -m pipelines.starter.samples`.

Each folder under `assets/samples` holds 5 pictures of one individual that the base never saw, in
different scenes, and `sample.json` with its noun. The first three are the proof set.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pipelines.starter.glyphs import Catalogue
from pipelines.starter.world import Spec, draw, place_one

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
# The alien's shape is unlike its class: a pixelated creature where the base knows a smooth head.
PROOF = {"koala": "🐨", "firetruck": "🚒", "pixelalien": "👾"}
PICTURES = 5
SIZE = 256  # larger than the base's pictures, as a person's would be
_SEED = 4711


def main() -> None:
    """Draw every set anew."""
    individuals = {i.glyph: i for i in Catalogue().held_out()}
    for number, (name, glyph) in enumerate(PROOF.items()):
        rng = np.random.default_rng(_SEED + number)
        who = individuals[glyph]
        folder = SAMPLES / name
        folder.mkdir(parents=True, exist_ok=True)
        for n, scene in enumerate(("white", "meadow", "room", "snow", "pink")[:PICTURES]):
            picture = draw(rng, Spec(scene, (place_one(rng, who, None),), ""), SIZE).image
            picture.save(folder / f"{n}.png", optimize=True)
        (folder / "sample.json").write_text(
            json.dumps({"glyph": glyph, "noun": who.teacher}, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
