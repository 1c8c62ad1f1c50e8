"""What a run learns from: pictures with masks and captions, and the concepts to find in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from adapters.record import Concept

Report = Callable[[dict[str, Any]], None]


def silent(event: dict[str, Any]) -> None:
    """A report that nobody reads."""


def no_class_images(noun: str, count: int) -> list[Image.Image]:
    """For lessons without a base to paint class images with."""
    return []


@dataclass(frozen=True)
class Picture:
    """An RGB picture; per concept an 8-bit mask of its size (none at all, or one for each concept).

    `caption` replaces the method's own prompts when it is not empty; several lines are captions that take
    turns by chance. The picture is drawn in proportion to `repeats`, and `weight` multiplies its loss.
    """

    image: Image.Image
    masks: tuple[Image.Image, ...] = ()
    caption: str = ""
    repeats: float = 1.0
    weight: float = 1.0

    @property
    def captions(self) -> list[str]:
        """The caption's lines that are not empty."""
        return [line for line in map(str.strip, self.caption.splitlines()) if line]


@dataclass(frozen=True)
class Lesson:
    """`class_images(noun, count)` paints or finds pictures of the class; `cache` keeps what is made once."""

    pictures: tuple[Picture, ...]
    concepts: tuple[Concept, ...]
    class_images: Callable[[str, int], list[Image.Image]] = no_class_images
    cache: Path | None = None
    report: Report = field(default=silent)

    def with_masks(self, masks: list[tuple[Image.Image, ...]]) -> Lesson:
        """The same with other masks."""
        pictures = tuple(replace(p, masks=m) for p, m in zip(self.pictures, masks, strict=True))
        return replace(self, pictures=pictures)
