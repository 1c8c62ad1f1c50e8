"""What belongs to a thing that is erased, and how copies of its pictures are known."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from adapters.errors import StudioError
from adapters.files import sha256
from app.concepts.draft import Draft
from app.painting.paintings import Painting
from pipelines.ingredients import made_from, pixels_of

_CHECKPOINT = re.compile(r"-step\d+$")


@dataclass
class Found:
    """What belongs to the thing that is erased."""

    adapters: list[Path] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)
    drafts: set[str] = field(default_factory=set)
    shots: dict[str, set[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)
    pictures: set[str] = field(default_factory=set)
    """SHA-256 of picture files and of their pixels."""

    def with_all_of(self, before: Found) -> Found:
        """The same, with all by which things were known that are gone since."""
        for mine, theirs in ((self.runs, before.runs), (self.drafts, before.drafts), (self.names, before.names),
                             (self.hashes, before.hashes), (self.pictures, before.pictures)):
            mine |= theirs
        return self

    def has(self, adapter: str) -> bool:
        """Whether that is the name of one of its adapters, or of a checkpoint of one."""
        return _CHECKPOINT.sub("", adapter).lower() in {n.lower() for n in self.names} - {""}

    def paints(self, painting: Painting) -> bool:
        """Whether a painting that waits or is under way is made from it."""
        return any(map(self.has, painting.adapters())) or (
            painting.edit is not None and self.shown_in(painting.edit[0]))

    def shown_in(self, picture: Path) -> bool:
        """Whether a picture was made from it.

        By name too: rather a picture of a namesake too many than one of the person left.
        """
        used = made_from(picture)
        return not self.pictures.isdisjoint(used.pictures) or any(
            hash in self.hashes or self.has(name) for name, hash in used.adapters)


def drafts_in(folder: Path) -> Iterable[Draft]:
    """Every readable draft of a folder, the trash perhaps."""
    for path in folder.glob("*/draft.json"):
        with contextlib.suppress(OSError, ValueError):
            yield Draft.model_validate_json(path.read_text("utf-8"))


def pixels_in(folder: Path) -> Iterator[str]:
    """SHA-256 of the pixels of all pictures in a folder."""
    for picture in sorted(folder.glob("*.png")):
        with contextlib.suppress(StudioError):  # a damaged one is erased as the others are
            yield pixels_of(picture)


def hashes_of(picture: Path) -> set[str]:
    """SHA-256 of a file and of its pixels, as far as it is a picture and still there."""
    found = set[str]()
    with contextlib.suppress(StudioError, OSError):
        found.add(sha256(picture))
        found.add(pixels_of(picture))
    return found
