"""What finds masks in pictures that come without. Each source is a module with a `Source`.

To add one: write the module, add its name to SOURCES and to `mask_source` in `pipelines/methods/common.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host

SOURCES: dict[str, str] = {
    "attention": "pipelines.mask_sources.attention",
    "grabcut": "pipelines.mask_sources.grabcut",
    "clipseg": "pipelines.mask_sources.clipseg",
    "sam": "pipelines.mask_sources.sam",
}


class MaskSource(Protocol):
    """Finds a thing by its noun."""

    def masks(self, images: Sequence[Image.Image], noun: str) -> list[Image.Image]:
        """An 8-bit mask of each RGB image's size, white where the noun is; soft, or 0 and 255."""
        ...


def open_source(name: str, host: Host, model: str = "") -> MaskSource:
    """The source of that name; `model` is a folder or hub id of its weights, empty: its own choice.

    Raises StudioError when what it needs is not installed or not here.
    """
    if name not in SOURCES:
        raise StudioError(f"There is no source of masks '{name}'; choose one of: {', '.join(SOURCES)}.")
    made: MaskSource = importlib.import_module(SOURCES[name]).Source(host, model)
    return made
