"""Masks of people: found beside their pictures, checked, taken in. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from adapters.errors import StudioError
from adapters.files import write_atomic
from pipelines.references import MASK_NAME, SUFFIXES, open_image, turn_upright

_OVERLAP = 0.5  # of the smaller mask: more than this, and two masks mean the same thing


def find_masks(pictures: Sequence[Path], folder: Path | None = None) -> list[list[Path]]:
    """The mask files of each picture, by number.

    They lie beside the picture or in `folder`, as 'maskN.png' for a single picture, '<stem>-maskN.png',
    '<stem>_N.png' or OneTrainer's '<stem>-masklabel.png'.
    """
    places = {p.parent for p in pictures} if folder is None else {folder}
    if folder is not None and not folder.is_dir():
        raise StudioError(f"'{folder}' is not a folder; give the folder that holds the masks.")
    files = sorted(f for place in places for f in place.iterdir()
                   if f.suffix.lower() in SUFFIXES and f not in pictures)
    return assign_masks(pictures, files, anything=folder is not None)


def assign_masks(pictures: Sequence[Path], files: Sequence[Path], *, anything: bool = True) -> list[list[Path]]:
    """Which of `files` belong to which picture; with `anything`, names without the word 'mask' count too."""
    found: list[list[Path]] = []
    for picture in pictures:
        mine: list[tuple[int, Path]] = []
        for file in files:
            named = MASK_NAME.fullmatch(file.stem)
            plain = re.fullmatch(re.escape(picture.stem) + r"[-_](\d+)", file.stem) if anything else None
            if named and (named["stem"] == picture.stem or (not named["stem"] and len(pictures) == 1)):
                mine.append((int(named["number"] or 0), file))
            elif plain:
                mine.append((int(plain[1]), file))
            elif anything and file.stem == picture.stem:
                mine.append((0, file))
        found.append([f for _, f in sorted(mine)])
    return found


def open_mask(path: Path, picture: Image.Image) -> Image.Image:
    """An 8-bit mask of the picture's own size; grey values stay soft.

    Raises StudioError when it has another size or is empty. An opaque-or-clear picture (RGBA drawn on
    nothing) counts by its opacity.
    """
    mask = open_image(path).convert("L")
    with Image.open(path) as raw:  # drawn on nothing: what is opaque is the thing
        if raw.mode == "RGBA" and min(raw.getchannel("A").tobytes()) < 255:
            turn_upright(raw)
            mask = raw.getchannel("A").copy()
    if mask.size != picture.size:
        raise StudioError(f"The mask '{path.name}' is {mask.width}x{mask.height} pixels, its picture is "
                          f"{picture.width}x{picture.height}; give a mask of the same size.")
    if max(mask.tobytes()) < 128:
        raise StudioError(f"The mask '{path.name}' is empty (all black); paint the thing white in it.")
    return mask


def take_in_masks(pictures: Sequence[Path], masks: Sequence[Sequence[Path]], concepts: int, references: Sequence[Path],
                  folder: Path) -> int:
    """Check each picture's masks and keep them as `<reference>-<concept>.png`; how many were kept.

    `references` are the pictures as the studio keeps them, which may be smaller. With `concepts` 0 as
    many are kept as the first picture has. Raises StudioError for another count, size or overlap.
    """
    kept = 0
    for source, files, reference in zip(pictures, masks, references, strict=True):
        if not files:
            continue
        wanted = concepts or len(masks[0])
        original = open_image(source)
        opened = [open_mask(f, original) for f in files]
        check_masks(opened, wanted, source.name)
        folder.mkdir(exist_ok=True)
        with Image.open(reference) as shown:
            size = shown.size
        for n, mask in enumerate(opened):
            small = mask.resize(size, Image.Resampling.LANCZOS) if mask.size != size else mask
            write_atomic(folder / f"{reference.stem}-{n}.png", partial(small.save, format="PNG"))
            kept += 1
    return kept


def check_masks(masks: Sequence[Image.Image], concepts: int, picture: str) -> None:
    """Raise StudioError when masks and concepts do not go together: another count, or masks that overlap."""
    if len(masks) != concepts:
        raise StudioError(f"'{picture}' has {len(masks)} masks for {concepts} concepts; give one mask for each.")
    solid = [np.asarray(m) > 127 for m in masks]
    for n, a in enumerate(solid):
        for m, b in enumerate(solid[:n]):
            share = (a & b).sum() / max(min(a.sum(), b.sum()), 1)
            if share > _OVERLAP:
                raise StudioError(f"The masks {m} and {n} of '{picture}' overlap by {share:.0%}; each pixel can "
                                  "belong to one concept, paint them apart.")
