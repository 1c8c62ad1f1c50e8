"""Masks for lessons that come without, from the source that the settings name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from pipelines.lesson import Lesson
from pipelines.mask_sources import open_source


def fill_in(host: Host, lesson: Lesson, wanted: str, source: str = "attention", model: str = "") -> Lesson:
    """The lesson with the masks that the settings ask for: 'none', 'given', or 'auto' where none are given.

    Each concept is looked for by its noun; no pixel is in two of a picture's masks. Raises StudioError when
    concepts cannot be told apart or one is not found.
    """
    if wanted == "none":
        return lesson.with_masks([() for _ in lesson.pictures])
    if wanted == "given" or all(p.masks for p in lesson.pictures):
        return lesson
    nouns = [c.noun for c in lesson.concepts]
    if len(set(nouns)) < len(nouns):
        raise StudioError(f"Automatic masks tell concepts apart by their nouns, which are {', '.join(nouns)}; give "
                          "each another noun, or paint masks.")
    lesson.report({"type": "stage", "text": "Finding the subject in the pictures"})
    finder = open_source(source, host, model)
    images = [p.image for p in lesson.pictures]
    found = [disjoint(masks) for masks in zip(*(finder.masks(images, n) for n in nouns), strict=True)]
    for number, masks in enumerate(found):
        for noun, mask in zip(nouns, masks, strict=True):
            if not lesson.pictures[number].masks and np.asarray(mask).max() < 128:
                raise StudioError(f"No {noun} was found in picture {number + 1}; paint one, or try another "
                                  "source of masks (mask_source).")
    return lesson.with_masks([p.masks or m for p, m in zip(lesson.pictures, found, strict=True)])


def disjoint(masks: Sequence[Image.Image]) -> tuple[Image.Image, ...]:
    """8-bit masks of one size, each pixel left to the largest value there, of equal ones to the smaller mask's."""
    if len(masks) == 1:
        return tuple(masks)
    layers = np.stack([np.asarray(m) for m in masks])
    order = np.argsort(layers.sum((1, 2)), kind="stable")
    winner = order[layers[order].argmax(0)]
    return tuple(Image.fromarray(np.where(winner == n, layer, 0).astype(np.uint8)) for n, layer in enumerate(layers))
