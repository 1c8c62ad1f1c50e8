"""Scenes composed from sprites on drawn backgrounds, each with its caption and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipelines.starter.captions import caption, noun_phrase
from pipelines.starter.glyphs import COLOURS, Catalogue, Individual, recolour, sprite
from pipelines.starter.scenes import SCENES

Rng = np.random.Generator


@dataclass(frozen=True)
class Placement:
    """One object: who, in which colour (None: as drawn), centre, longer side (both 0-1), degrees."""

    individual: Individual
    colour: str | None
    x: float
    y: float
    side: float
    angle: float


@dataclass(frozen=True)
class Spec:
    """A scene before it is drawn. `placements` run from left to right."""

    scene: str
    placements: tuple[Placement, ...]
    caption: str


@dataclass(frozen=True)
class Rendered:
    """A drawn scene: RGB image, and per placement an 8-bit mask of the same size."""

    image: Image.Image
    masks: tuple[Image.Image, ...]


def place_one(rng: Rng, who: Individual, colour: str | None) -> Placement:
    """A single object near the middle."""
    side = rng.uniform(0.46, 0.66)
    return Placement(who, colour, rng.uniform(0.4, 0.6), rng.uniform(0.52, 0.62), side,
                     rng.uniform(-8, 8))


def place_row(rng: Rng, who: Sequence[Individual],
              colours: Sequence[str | None]) -> tuple[Placement, ...]:
    """Two or three objects side by side, in the order given."""
    step = 1 / len(who)
    return tuple(
        Placement(i, c, (n + 0.5) * step + rng.uniform(-0.02, 0.02), rng.uniform(0.54, 0.64),
                  rng.uniform(0.78, 0.92) * step, rng.uniform(-6, 6))
        for n, (i, c) in enumerate(zip(who, colours, strict=True))
    )


def draw(rng: Rng, spec: Spec, size: int) -> Rendered:
    """Draw `spec` at `size` x `size` pixels."""
    image = SCENES[spec.scene].draw(rng, size * 2).resize((size, size), Image.Resampling.BOX)
    masks = []
    for p in spec.placements:
        art = sprite(p.individual.glyph)
        if p.colour:
            art = recolour(art, p.colour)
        scale = p.side * size / max(art.size)
        art = art.resize((max(round(art.width * scale), 1), max(round(art.height * scale), 1)),
                         Image.Resampling.LANCZOS)
        art = art.rotate(p.angle, Image.Resampling.BICUBIC, expand=True)
        corner = (round(p.x * size - art.width / 2), round(p.y * size - art.height / 2))
        layer = Image.new("RGBA", (size, size), (0, 0, 0, 0))
        layer.paste(art, corner)
        image.paste(layer, (0, 0), layer)
        masks.append(layer.getchannel("A"))
    return Rendered(image, tuple(masks))


class World:
    """Draws random captioned scenes of the individuals it is given."""

    def __init__(self, catalogue: Catalogue, individuals: Sequence[Individual], *,
                 two_objects: float = 0.3, coloured: float = 0.3) -> None:
        self.catalogue = catalogue
        by_noun: dict[str, list[Individual]] = {}
        for i in individuals:
            by_noun.setdefault(i.noun, []).append(i)
        self.by_noun = by_noun
        self.nouns = list(by_noun)
        self.two_objects = two_objects
        self.coloured = coloured

    def pick(self, rng: Rng, noun: str | None = None) -> Individual:
        """A random individual: first the class, so that every class is equally frequent."""
        choice = by if (by := self.by_noun.get(noun or "")) else self.by_noun[str(rng.choice(self.nouns))]
        return choice[int(rng.integers(len(choice)))]

    def colour(self, rng: Rng) -> str | None:
        """A random colour word, or None for an object as it is drawn."""
        return str(rng.choice(list(COLOURS))) if rng.random() < self.coloured else None

    def spec(self, rng: Rng, *, vary: bool = True) -> Spec:
        """A random scene with its caption."""
        scene = str(rng.choice(list(SCENES)))
        if rng.random() < self.two_objects:
            who = [self.pick(rng), self.pick(rng)]
            placements = place_row(rng, who, [self.colour(rng) for _ in who])
        else:
            placements = (place_one(rng, self.pick(rng), self.colour(rng)),)
        phrases = [noun_phrase(rng, p.individual.noun, p.individual.kind, p.colour, vary=vary)
                   for p in placements]
        return Spec(scene, placements, caption(rng, phrases, SCENES[scene].phrases, vary=vary))
