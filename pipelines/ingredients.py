"""What went into a picture: adapters, and the pictures that it was begun from. By these it is found again.

It stands in the picture's own file: adapters beside its settings, and under `source` what went into the picture that it
was begun from, that picture's hashes among it. Imports no torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from adapters.files import sha256, write_atomic
from pipelines.image_file import MAX_TEXT, pixels_hash
from pipelines.references import MAX_SIDE, open_image

_MOST = 240  # of each; the first ones are kept, since a photo that all was begun from is among them


@dataclass(frozen=True)
class Ingredients:
    """Hashes of pictures (SHA-256 of the file, and of the pixels), the first one of all first; names and hashes of
    adapters."""

    pictures: tuple[str, ...] = ()
    adapters: tuple[tuple[str, str], ...] = ()

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {"pictures": list(self.pictures), "adapters": [{"name": n, "hash": h} for n, h in self.adapters]}

    def and_(self, pictures: tuple[str, ...] = (), adapters: tuple[tuple[str, str], ...] = ()) -> Ingredients:
        """These and further ones."""
        return Ingredients(tuple(dict.fromkeys((*self.pictures, *pictures)))[:_MOST],
                           tuple(dict.fromkeys((*self.adapters, *adapters)))[:_MOST])


def pixels_of(path: Path) -> str:
    """SHA-256 of a picture's pixels as they are taken in to learn from: upright, at most MAX_SIDE a side.

    So a copy that was saved anew without loss is known again. Raises StudioError for what is no picture.
    """
    image = open_image(path)
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return pixels_hash(image)


def made_from(path: Path) -> Ingredients:
    """What a picture says went into it; nothing where it says nothing that can be read."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            text = image.info.get("semblance")
        told = json.loads(text) if isinstance(text, str) and len(text) <= MAX_TEXT else {}
    except (OSError, ValueError, RecursionError):
        return Ingredients()
    told = told if isinstance(told, dict) else {}
    source = told.get("source")
    before = source if isinstance(source, dict) else {}
    pictures = tuple(str(p)[:64] for p in _listed(before.get("pictures")))
    return Ingredients().and_(pictures, (*_named(before.get("adapters")), *_named(told.get("adapters"))))


def _listed(told: object) -> list[Any]:
    return told if isinstance(told, list) else []


def _named(told: object) -> tuple[tuple[str, str], ...]:
    return tuple((str(a.get("name", ""))[:200], str(a.get("hash", ""))[:64])
                 for a in _listed(told) if isinstance(a, dict))


def source_of(path: Path) -> Ingredients:
    """What goes into a picture that is begun from the one in `path`: that one, and what it was made from itself."""
    return made_from(path).and_((sha256(path), pixels_of(path)))


def save_source(image: Image.Image, path: Path, source: Ingredients) -> None:
    """Write a picture to paint on as PNG (atomic): its pixels, and what is known of where they come from."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("semblance", json.dumps({"source": source.told()}))
    write_atomic(path, lambda p: image.save(p, "PNG", pnginfo=chunks))
