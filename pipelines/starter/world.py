"""Scenes composed from sprites on drawn backgrounds, each with its caption and masks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from pipelines.starter.captions import SIZES, caption, noun_phrase, subject
from pipelines.starter.combinations import held_out_pair
from pipelines.starter.glyphs import COLOURS, Individual, painted
from pipelines.starter.scenes import SCENES
from pipelines.starter.styles import DRAWN, HELD_OUT_STYLES, STYLES, Style, check_style

Rng = np.random.Generator
Relation = Literal["side", "stack"]
Unseen = Literal["colour", "objects"]
# The halves of a picture of four objects, by their numbers in it.
ROWS, COLUMNS = ((0, 1), (2, 3)), ((0, 2), (1, 3))


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
    """A scene before it is drawn. `placements` run from left to right, stacked ones from the top."""

    scene: str
    placements: tuple[Placement, ...]
    caption: str
    style: str = DRAWN
    relation: Relation = "side"


@dataclass(frozen=True)
class Rendered:
    """A drawn scene: RGB image, and per placement an 8-bit mask of the same size."""

    image: Image.Image
    masks: tuple[Image.Image, ...]


def place_one(rng: Rng, who: Individual, colour: str | None, size: str | None = None) -> Placement:
    """A single object near the middle; `size` is a word of SIZES."""
    side = rng.uniform(*SIZES[size]) if size else rng.uniform(0.46, 0.66)
    x, y = rng.uniform(0.4, 0.6), rng.uniform(0.52, 0.62)
    # A big one would leave the picture elsewhere than in its middle.
    x, y = (float(np.clip(v, side / 2, 1 - side / 2)) for v in (x, y))
    return Placement(who, colour, x, y, side, rng.uniform(-8, 8))


def place_row(rng: Rng, who: Sequence[Individual],
              colours: Sequence[str | None]) -> tuple[Placement, ...]:
    """Two or three objects side by side, in the order given."""
    step = 1 / len(who)
    placements = []
    for n, (i, c) in enumerate(zip(who, colours, strict=True)):
        x, y = (n + 0.5) * step + rng.uniform(-0.02, 0.02), rng.uniform(0.54, 0.64)
        side = rng.uniform(0.78, 0.92) * step
        margin = 0.53 * side  # half of it, and a little for its turning
        placements.append(Placement(i, c, float(np.clip(x, margin, 1 - margin)), y, side, rng.uniform(-6, 6)))
    return tuple(placements)


def place_stack(rng: Rng, who: Sequence[Individual],
                colours: Sequence[str | None]) -> tuple[Placement, ...]:
    """Two objects one over the other, the upper one first."""
    return tuple(
        Placement(i, c, rng.uniform(0.42, 0.58), (n + 0.5) / 2 + rng.uniform(-0.02, 0.02),
                  rng.uniform(0.39, 0.45), rng.uniform(-6, 6))
        for n, (i, c) in enumerate(zip(who, colours, strict=True))
    )


def place_quarters(rng: Rng, who: Sequence[Individual],
                   colours: Sequence[str | None]) -> tuple[Placement, ...]:
    """Four objects, each within its own quarter of the picture, row by row."""
    return tuple(
        Placement(i, c, 0.25 + x / 2 + rng.uniform(-0.02, 0.02), 0.25 + y / 2 + rng.uniform(-0.02, 0.02),
                  rng.uniform(0.36, 0.44), rng.uniform(-8, 8))
        for (y, x), i, c in zip(itertools.product((0, 1), repeat=2), who, colours, strict=True)
    )


def draw(rng: Rng, spec: Spec, size: int) -> Rendered:
    """Draw `spec` at `size` x `size` pixels; masks are the objects' and the same in every style."""
    image = SCENES[spec.scene].draw(rng, size * 2).resize((size, size), Image.Resampling.BOX)
    masks = []
    for p in spec.placements:
        art = painted(p.individual.glyph, p.colour)
        scale = p.side * size / max(art.size)
        art = art.resize((max(round(art.width * scale), 1), max(round(art.height * scale), 1)),
                         Image.Resampling.LANCZOS)
        art = art.rotate(p.angle, Image.Resampling.BICUBIC, expand=True)
        corner = (round(p.x * size - art.width / 2), round(p.y * size - art.height / 2))
        image.paste(art, corner, art)
        mask = Image.new("L", (size, size))
        mask.paste(art.getchannel("A"), corner)
        masks.append(mask)
    style = (STYLES | HELD_OUT_STYLES)[spec.style]
    if style.paint:
        objects = np.max([np.asarray(m, np.float32) / 255 for m in masks], 0)
        image = style.paint(image, objects, rng)
    return Rendered(image, tuple(masks))


class World:
    """Draws random captioned scenes of the individuals it is given.

    Held-out pairs of words (`combinations`) never come together; with `unseen` every scene has one:
    a held-out colour on a single object, or two objects whose nouns are a held-out pair. The numbers are
    the chances of two objects, of a colour word, of a size word and of a style other than drawn. Raises
    ValueError for a held-out style.
    """

    def __init__(self, individuals: Sequence[Individual], *, two_objects: float = 0.35, coloured: float = 0.3,
                 sized: float = 0.25, styled: float = 0.5, styles: Sequence[str] = tuple(STYLES),
                 unseen: Unseen | None = None) -> None:
        for style in styles:
            check_style(style)
        self.by_noun: dict[str, list[Individual]] = {}
        for i in individuals:
            self.by_noun.setdefault(i.noun, []).append(i)
        self.nouns = list(self.by_noun)
        self.two_objects, self.coloured, self.sized = two_objects, coloured, sized
        # A held-out colour must be seen, so no style that has none.
        self.styles = [s for s in styles if s != DRAWN and (STYLES[s].colours or unseen != "colour")]
        self.styled = styled
        self.unseen = unseen
        self.unseen_pairs = [p for p in itertools.combinations(self.nouns, 2) if held_out_pair(*p)]

    def pick(self, rng: Rng, noun: str | None = None) -> Individual:
        """A random individual: first the class, so that every class is equally frequent."""
        choice = self.by_noun[noun or str(rng.choice(self.nouns))]
        return choice[int(rng.integers(len(choice)))]

    def colour_of(self, rng: Rng, noun: str) -> str | None:
        """A colour word that `noun` is seen with, or None for an object as it is drawn."""
        if rng.random() >= self.coloured:
            return None
        return str(rng.choice([c for c in COLOURS if not held_out_pair(c, noun)]))

    def pair(self, rng: Rng) -> list[Individual]:
        """Two individuals of different classes, a held-out pair only when these are asked for."""
        if self.unseen == "objects":
            chosen = list(self.unseen_pairs[int(rng.integers(len(self.unseen_pairs)))])
            return [self.pick(rng, noun) for noun in rng.permutation(chosen)]
        while True:
            first, second = self.pick(rng), self.pick(rng)
            if first.noun != second.noun and not held_out_pair(first.noun, second.noun):
                return [first, second]

    def single(self, rng: Rng, noun: str | None, colours: bool) -> tuple[Placement, str | None]:
        """One object with its size word; in a held-out colour when these are asked for."""
        if self.unseen == "colour":
            unseen = [(n, c) for n in ([noun] if noun else self.nouns) for c in COLOURS if held_out_pair(c, n)]
            word, colour = unseen[int(rng.integers(len(unseen)))]
            return place_one(rng, self.pick(rng, word), colour), None
        who = self.pick(rng, noun)
        size = str(rng.choice(list(SIZES))) if rng.random() < self.sized else None
        return place_one(rng, who, self.colour_of(rng, who.noun) if colours else None, size), size

    def setting(self, rng: Rng) -> tuple[Style, str]:
        """A style, and a scene that can be told in it."""
        style = STYLES[str(rng.choice(self.styles)) if self.styles and rng.random() < self.styled else DRAWN]
        return style, str(rng.choice([s for s in SCENES if style.colours or s not in COLOURS]))

    def quarters(self, rng: Rng, *, vary: bool = True) -> Spec:
        """Four close-ups in one picture, one a quarter; the caption has a line for each."""
        style, scene = self.setting(rng)
        who = [self.pick(rng) for _ in range(4)]
        colours = [self.colour_of(rng, i.noun) if style.colours else None for i in who]
        captions = [
            caption(rng, noun_phrase(rng, i.noun, i.kind, c, vary=vary), SCENES[scene].phrases, style, vary=vary)
            for i, c in zip(who, colours, strict=True)
        ]
        return Spec(scene, place_quarters(rng, who, colours), "\n".join(captions), style.name)

    def half(self, rng: Rng, spec: Spec, places: tuple[int, int], *, vary: bool = True) -> str | None:
        """What one half of four close-ups shows: the two objects at `places`, a row's or a column's.

        None when the two must not be seen together.
        """
        first, second = (spec.placements[n] for n in places)
        nouns = first.individual.noun, second.individual.noun
        if nouns[0] == nouns[1] or held_out_pair(*nouns):
            return None
        phrases = [noun_phrase(rng, p.individual.noun, p.individual.kind, p.colour, vary=vary)
                   for p in (first, second)]
        shown = subject(rng, phrases, "side" if places in ROWS else "stack", vary=vary)
        return caption(rng, shown, SCENES[spec.scene].phrases, STYLES[spec.style], vary=vary)

    def spec(self, rng: Rng, *, vary: bool = True, noun: str | None = None,
             relation: Relation | None = None) -> Spec:
        """A random scene; `noun` asks for one object of that class, `relation` for two that lie so."""
        style, scene = self.setting(rng)
        two = self.unseen == "objects" or rng.random() < self.two_objects
        size = None
        if relation or (two and not noun and self.unseen != "colour"):
            relation = relation or ("side" if rng.random() < 0.6 else "stack")
            who = self.pair(rng)
            colours = [self.colour_of(rng, i.noun) if style.colours else None for i in who]
            placements = (place_row if relation == "side" else place_stack)(rng, who, colours)
        else:
            one, size = self.single(rng, noun, style.colours)
            placements = (one,)
        phrases = [noun_phrase(rng, p.individual.noun, p.individual.kind, p.colour, size, vary=vary)
                   for p in placements]
        shown = subject(rng, phrases, relation or "side", vary=vary)
        return Spec(scene, placements, caption(rng, shown, SCENES[scene].phrases, style, vary=vary),
                    style.name, relation or "side")
