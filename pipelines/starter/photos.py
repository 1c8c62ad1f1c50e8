"""Real photos for the autoencoder: a folder of subject folders named by SEMBLANCE_PHOTOS."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from adapters.errors import StudioError

VARIABLE = "SEMBLANCE_PHOTOS"
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_KEPT_OUT_EVERY = 4


@dataclass(frozen=True)
class Split:
    """Subject folders: those the autoencoder trains on, and those it is measured on."""

    trained: tuple[Path, ...]
    kept_out: tuple[Path, ...]


def photo_folder() -> Path | None:
    """The folder of the environment, None without one. Raises StudioError when it is not there."""
    if not (named := os.environ.get(VARIABLE)):
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise StudioError(f"{VARIABLE} should name a folder of subject folders, but there is no folder "
                          f"'{named}'; correct or unset it.")
    return folder


def pictures_of(subject: Path) -> list[Path]:
    """The picture files of a subject folder, sorted."""
    return sorted(p for p in subject.iterdir() if p.suffix.lower() in _SUFFIXES)


def split_subjects(folder: Path) -> Split:
    """Subjects by name; every fourth is kept out of training.

    Raises StudioError when there are fewer than four folders with pictures.
    """
    subjects = [p for p in sorted(folder.iterdir()) if p.is_dir() and pictures_of(p)]
    if len(subjects) < _KEPT_OUT_EVERY:
        raise StudioError(f"'{folder.name}' holds {len(subjects)} folders with pictures, and at least "
                          f"{_KEPT_OUT_EVERY} are needed to keep one out; give {VARIABLE} another folder.")
    kept = subjects[_KEPT_OUT_EVERY - 1::_KEPT_OUT_EVERY]
    return Split(tuple(s for s in subjects if s not in kept), tuple(kept))


def _open(path: Path, shorter: int) -> Image.Image:
    picture = Image.open(path)
    picture.draft("RGB", (2 * shorter, 2 * shorter))
    image = ImageOps.exif_transpose(picture).convert("RGB")
    scale = shorter / min(image.size)
    width, height = (max(round(s * scale), shorter) for s in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def squares(subjects: tuple[Path, ...], size: int) -> list[Image.Image]:
    """Every picture's middle square at `size` pixels."""
    return [ImageOps.fit(_open(p, size), (size, size)) for s in subjects for p in pictures_of(s)]


class Crops:
    """Random square crops of the photos of some subjects, each photo held at two scales."""

    def __init__(self, subjects: tuple[Path, ...], size: int) -> None:
        self.size = size
        self.photos: list[NDArray[np.uint8]] = [
            np.asarray(_open(p, shorter)) for s in subjects for p in pictures_of(s)
            for shorter in (size, size * 3 // 2)]

    def draw(self, count: int) -> NDArray[np.uint8]:
        """[count, size, size, 3], half of them mirrored; chance comes from torch's generator."""
        found = []
        for _ in range(count):
            photo = self.photos[int(torch.randint(len(self.photos), ()))]
            y, x = (int(torch.randint(edge - self.size + 1, ())) for edge in photo.shape[:2])
            crop = photo[y:y + self.size, x:x + self.size]
            found.append(crop[:, ::-1] if torch.rand(()) < 0.5 else crop)
        return np.stack(found) if found else np.empty((0, self.size, self.size, 3), np.uint8)
