"""What is likely to spoil a training, seen in the pictures before it starts. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.faces import faces

FEW = 4
SIDE = 256  # at which sharpness is judged, so that it does not depend on the camera
BLURRED = 40.0  # of 159 sharp pictures the lowest has 104; blurred by 2 pixels of 256 the highest has 18
ALIKE = 5  # of 64 bits
SMALL_SHARE = 0.06


@dataclass(frozen=True)
class Finding:
    """One sentence for a person, and the names of the pictures that it is about (none: all of them)."""

    text: str
    pictures: tuple[str, ...] = ()


def sharpness(image: Image.Image) -> float:
    """Variance of the Laplacian of the grey picture at SIDE pixels (Pech-Pacheco et al., 2000), grey in 0-255."""
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float32)
    middle = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * middle
    return float(laplacian.var())


def alike(first: Image.Image, second: Image.Image) -> bool:
    """Whether two pictures show the same: their 64-bit difference hashes and their small grey copies agree.

    The hash forgives another exposure or a recompression; alone it takes two drawings on white for one.
    """
    a, b = _small(first, (9, 8)), _small(second, (9, 8))
    bits = ((a[:, 1:] > a[:, :-1]) != (b[:, 1:] > b[:, :-1])).sum()
    return bool(bits <= ALIKE and np.abs(_small(first, (32, 32)) - _small(second, (32, 32))).mean() < 8)


def _small(image: Image.Image, size: tuple[int, int]) -> NDArray[np.int16]:
    return np.asarray(image.convert("L").resize(size, Image.Resampling.BOX), np.int16)


def check(pictures: Mapping[str, Image.Image], masks: Mapping[str, Sequence[Image.Image]] | None = None,
          side: int = 512, base: str = "starter") -> list[Finding]:
    """Findings about pictures by name, most harmful first; `side` is what `base` was made for, in pixels."""
    found: list[Finding] = []
    masked = {name for name, drawn in (masks or {}).items() if drawn}
    if 0 < len(pictures) < FEW and not masked.issuperset(pictures):  # masks in each make a scene of them
        are = "picture is" if len(pictures) == 1 else "pictures are"
        found.append(Finding(f"{len(pictures)} {are} few; {FEW} to 6 from different sides teach more."))
    for group in _groups(pictures):
        others = ", ".join(f"'{n}'" for n in group[:-1])
        found.append(Finding(f"{others} and '{group[-1]}' are nearly the same picture; one of them is enough.", group))
    if blurred := tuple(n for n, p in pictures.items() if sharpness(p) < BLURRED):
        found.append(Finding(f"{_listed(blurred)} {'is' if len(blurred) == 1 else 'are'} blurred; the blur will be "
                             "learned too.", blurred))
    if small := tuple(n for n, p in pictures.items() if min(p.size) < 0.6 * side):
        have = "has" if len(small) == 1 else "have"
        found.append(Finding(f"{_listed(small)} {have} less than the {side} pixels a side that the base "
                             f"'{base}' paints; larger pictures keep more detail.", small))
    areas = [p.width * p.height for p in pictures.values()]
    if areas and max(areas) > 8 * min(areas):
        found.append(Finding("The pictures are of very different sizes; small ones will look soft beside large ones."))
    for name, drawn in (masks or {}).items():
        for mask in drawn:
            share = float(np.asarray(mask, np.float32).mean() / 255)
            if 0 < share < SMALL_SHARE:
                found.append(Finding(f"What is painted in '{name}' fills {share:.0%} of the picture; crop it closer.",
                                     (name,)))
    return found


def _groups(pictures: Mapping[str, Image.Image]) -> list[tuple[str, ...]]:
    """Names of pictures that are alike, or that others between them make so."""
    groups: list[list[str]] = []
    for name, picture in pictures.items():
        near = [g for g in groups if any(alike(picture, pictures[other]) for other in g)]
        groups = [g for g in groups if g not in near] + [[*chain(*near), name]]
    return [tuple(g) for g in groups if len(g) > 1]


def look_for_people(pictures: Mapping[str, Image.Image]) -> list[Finding]:
    """A question about pictures that seem to show a face; nothing where no face detector is at hand."""
    shown = tuple(n for n, p in pictures.items() if faces(p))
    if not shown:
        return []
    return [Finding(f"{_listed(shown)} {'seems' if len(shown) == 1 else 'seem'} to show a face. If this is about a "
                    "person, say so beside its name: a person is learned only with their consent.", shown)]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{n}'" for n in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
