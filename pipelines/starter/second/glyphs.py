"""The second edition's catalogue, and sprites in a named colour."""

from __future__ import annotations

import functools
from pathlib import Path

from PIL import Image

from pipelines.starter import glyphs
from pipelines.starter.glyphs import recolour, sprite

CATALOGUE_PATH = Path(__file__).with_name("catalogue.toml")


class Catalogue(glyphs.Catalogue):
    """What the second edition's world is made of (`catalogue.toml`)."""

    def __init__(self, path: Path = CATALOGUE_PATH) -> None:
        super().__init__(path=path)


@functools.lru_cache(maxsize=1024)
def painted(glyph: str, colour: str | None) -> Image.Image:
    """`sprite`, in one of `COLOURS` where a colour is given."""
    return recolour(sprite(glyph), colour) if colour else sprite(glyph)
