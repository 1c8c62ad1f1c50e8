"""Colour emoji glyphs as RGBA sprites, and the catalogue that says which of them may be trained on.

The font (Noto Color Emoji, Debian package `fonts-noto-color-emoji`) is needed to train the
starter, never to run it.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CATALOGUE_PATH = Path(__file__).with_name("catalogue.toml")
FONT_PATH = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
_BITMAP_SIZE = 109  # the one size in which the font's bitmaps exist


@dataclass(frozen=True)
class Individual:
    """One glyph: the smallest thing that a concept can be.

    `noun` is the class word of its captions, `kind` a wider word ("animal"), `held_out` says that
    the base was never trained on it. For a held-out class `noun` is unknown to the base and
    `teacher` the nearest word that it knows.
    """

    glyph: str
    noun: str
    kind: str
    held_out: bool
    teacher: str


class Catalogue:
    """What the world is made of (`catalogue.toml`)."""

    def __init__(self, path: Path = CATALOGUE_PATH) -> None:
        raw = tomllib.loads(path.read_text("utf-8"))
        self.individuals: list[Individual] = []
        for noun, entry in raw["classes"].items():
            for key, held_out in (("glyphs", False), ("held_out", True)):
                for glyph in entry.get(key, "").split():
                    self.individuals.append(Individual(glyph, noun, entry["kind"], held_out, noun))
        for noun, entry in raw["held_out_classes"].items():
            for glyph in entry["glyphs"].split():
                self.individuals.append(Individual(glyph, noun, "thing", True, entry["teacher"]))
        self.nouns: list[str] = list(raw["classes"])
        self.held_out_nouns: list[str] = list(raw["held_out_classes"])

    def trainable(self) -> list[Individual]:
        """The individuals that the base is trained on."""
        return [i for i in self.individuals if not i.held_out]

    def held_out(self) -> list[Individual]:
        """The individuals that the base never sees."""
        return [i for i in self.individuals if i.held_out]

    def check_trainable(self, individuals: list[Individual]) -> None:
        """Raise ValueError if any of `individuals`, by glyph or by noun, is held out."""
        glyphs = {i.glyph for i in self.held_out()}
        for i in individuals:
            if i.glyph in glyphs or i.noun in self.held_out_nouns or i.held_out:
                raise ValueError(
                    f"'{i.glyph}' ({i.noun}) is held out and must not be trained on; "
                    "take it out of the training set."
                )


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    if not FONT_PATH.exists():
        raise FileNotFoundError(
            f"The emoji font is not at {FONT_PATH}; install it with "
            "'apt-get install fonts-noto-color-emoji' (only training the starter needs it)."
        )
    return ImageFont.truetype(str(FONT_PATH), _BITMAP_SIZE)


@functools.cache
def sprite(glyph: str) -> Image.Image:
    """The glyph as an RGBA image cropped to its ink, about 110-136 px on its longer side.

    Raises ValueError when the font has no single picture for it.
    """
    canvas = Image.new("RGBA", (300, 160), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((10, 10), glyph, font=_font(), embedded_color=True)
    box = canvas.getchannel("A").getbbox()
    if box is None or box[2] - box[0] > 140:
        raise ValueError(f"The emoji font has no single picture for '{glyph}'.")
    return canvas.crop(box)


def all_glyphs() -> list[str]:
    """Every single-codepoint picture of the font."""
    found = []
    for code in (*range(0x1F300, 0x1FAFF), *range(0x2600, 0x27BF)):
        try:
            if min(sprite(chr(code)).size) > 40:
                found.append(chr(code))
        except ValueError:
            continue
    return found


COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (243, 128, 22),
    "yellow": (246, 208, 30),
    "green": (52, 160, 60),
    "blue": (40, 104, 220),
    "purple": (140, 60, 190),
    "pink": (244, 110, 170),
    "black": (52, 52, 58),
}


def recolour(image: Image.Image, colour: str) -> Image.Image:
    """Repaint an RGBA sprite in one of `COLOURS`, keeping its light and shade."""
    rgba = np.asarray(image, np.float32)
    light = (rgba[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)) / 255.0
    # The middle of the ramp is the named colour; eyes and outlines stay dark, highlights light.
    level = 0.1 + 0.75 * light
    target = np.array(COLOURS[colour], np.float32)
    dark = (level / 0.6)[..., None].clip(0, 1)
    bright = ((level - 0.6) / 0.4)[..., None].clip(0, 1)
    rgb = target * dark * (1 - 0.75 * bright) + 255.0 * 0.75 * bright
    return Image.fromarray(np.dstack([rgb, rgba[..., 3]]).clip(0, 255).astype(np.uint8), "RGBA")


@functools.lru_cache(maxsize=1024)
def painted(glyph: str, colour: str | None) -> Image.Image:
    """`sprite`, in one of `COLOURS` where a colour is given."""
    return recolour(sprite(glyph), colour) if colour else sprite(glyph)
