"""What every reader of folders and configurations makes: a dataset of picture files. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.files import sha256
from pipelines import references
from pipelines.masks import find_masks
from pipelines.references import SUFFIXES, list_folder

TRIGGER = "[trigger]"
"""Where a caption names the concept, whatever word it gets (ai-toolkit's placeholder)."""
_MOST = 200  # pictures of a dataset; all of them are in memory when the run begins


@dataclass(frozen=True)
class Sample:
    """A picture file with its masks, its caption (lines take turns), and how often and how strongly it counts."""

    picture: Path
    masks: tuple[Path, ...] = ()
    caption: str = ""
    repeats: float = 1.0
    weight: float = 1.0
    sha256: str = ""
    """Of the file that a person gave, where `picture` was made of it; '': `picture` is that file."""


@dataclass(frozen=True)
class Dataset:
    """Samples of one concept, and what their source says of it.

    `others` are the words of further concepts, whose pictures have captions of their own. `settings` are those
    of the run that the source asks for; `notices` are sentences for the person. At most `most` pictures are taken.
    """

    samples: tuple[Sample, ...] = ()
    trigger: str = ""
    noun: str = ""
    others: tuple[str, ...] = ()
    class_images: tuple[Path, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    most: int = references.MAX_IMAGES

    @classmethod
    def of(cls, pictures: Sequence[Path], masks: Sequence[Sequence[Path]] = ()) -> Dataset:
        """Pictures with their masks, if any, and nothing else."""
        given = masks or [()] * len(pictures)
        return cls(tuple(Sample(p, tuple(m)) for p, m in zip(pictures, given, strict=True)))

    @property
    def pictures(self) -> list[Path]:
        """The picture files."""
        return [s.picture for s in self.samples]

    @property
    def masks(self) -> list[tuple[Path, ...]]:
        """The masks of each picture."""
        return [s.masks for s in self.samples]

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of the file that each picture is of: what a statement of consent names."""
        return tuple(s.sha256 or sha256(s.picture) for s in self.samples)


def no_caption(picture: Path) -> str:
    """For pictures without captions."""
    return ""


@dataclass(frozen=True)
class Subset:
    """Pictures that are learned alike.

    `words` are trigger and class ('zok cat'); `masks` is a folder of masks of the pictures' own names, None: they
    lie beside them. `balance` is a number of samples that the whole subset counts as, in place of `repeats`.
    """

    pictures: Sequence[Path]
    words: str = ""
    caption: Callable[[Path], str] = no_caption
    masks: Path | None = None
    repeats: float = 1.0
    balance: float | None = None
    weight: float = 1.0
    regular: bool = False
    flip: bool = False

    def samples(self) -> list[Sample]:
        """Each picture with what belongs to it; captions as they are written."""
        repeats = self.balance / len(self.pictures) if self.balance else self.repeats
        return [Sample(p, tuple(m), self.caption(p), repeats, self.weight)
                for p, m in zip(self.pictures, self._masks(), strict=True)]

    def _masks(self) -> list[list[Path]]:
        if self.masks is not None:
            files = {f.stem: f for f in sorted(self.masks.iterdir()) if f.suffix.lower() in SUFFIXES}
            return [[files[p.stem]] if p.stem in files else [] for p in self.pictures]
        found: dict[Path, list[Path]] = {}
        for folder in {p.parent for p in self.pictures}:  # a name may be in several folders
            mine = [p for p in self.pictures if p.parent == folder]
            found |= dict(zip(mine, find_masks(mine), strict=True))
        return [found[p] for p in self.pictures]


def pictures_in(*folders: Path) -> list[Path]:
    """The pictures in folders, by name. Raises StudioError when there are none.

    OneTrainer's '<picture>-condlabel' files are no pictures to learn from.
    """
    found = [p for folder in folders for p in list_folder(folder) if not p.stem.endswith("-condlabel")]
    if not found:
        raise StudioError(f"'{folders[0]}' has no pictures; put PNG, JPEG, WebP or BMP pictures there, or leave the "
                          "folder out.")
    return found


def assemble(subsets: Sequence[Subset], unused: Sequence[str], *, trigger: str = "",
             notices: Sequence[str] = ()) -> Dataset:
    """The subsets as one dataset; the first one's words are the concept's.

    Where a caption names the trigger (or `trigger`, where the source has none) stands TRIGGER, and in front of
    captions that do not name it. Pictures of other words keep their captions, or have their words as one.
    `unused` are names of settings that have no meaning here.
    """
    own = [s for s in subsets if not s.regular]
    words = own[0].words if own else ""
    name, _, noun = words.partition(" ")
    samples, bare = list[Sample](), 0
    for subset in own:
        for sample in subset.samples():
            lines = [line for line in map(str.strip, sample.caption.splitlines()) if line]
            if subset.words != words:
                lines = lines or [subset.words]
            else:
                lines = [mark(line, name or trigger) for line in lines]
                bare += any(TRIGGER not in line for line in lines)
                lines = [line if TRIGGER in line else f"{TRIGGER}, {line}" for line in lines]
            samples.append(replace(sample, caption="\n".join(lines)))
    regular = [p for s in subsets if s.regular for p in s.pictures]
    flips = {s.flip for s in own}
    settings: dict[str, Any] = {"flip": True} if flips == {True} else {}
    told, unused = list(notices), list(unused)
    if len(flips) > 1:
        unused.append("flipping of some folders alone")
    if regular:
        settings["prior_weight"] = 1.0
        told.append(f"{len(regular)} regularisation pictures are used as class images")
    others = tuple(dict.fromkeys(s.words for s in own if s.words != words))
    if others:
        told.append(f"{', '.join(map(shown, others))}: learned under these words, which the adapter does not list")
    if bare:
        told.append(f"{bare} captions did not name the trigger, it stands in front of them now")
    if unused:
        told.append(f"not used: {listed(unused)}")
    return Dataset(tuple(samples), name, noun, others, tuple(regular), settings, tuple(told), _MOST)


def mark(caption: str, trigger: str) -> str:
    """The caption with TRIGGER in the place of the whole word `trigger`, large or small."""
    if not trigger:
        return caption
    return re.sub(rf"(?<!\w){re.escape(trigger)}(?!\w)", lambda _: TRIGGER, caption, flags=re.IGNORECASE)


def plain(text: str, most: int = 120) -> str:
    """A stranger's text for a message: short, in one line, without control characters."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split())[:most])


def shown(text: str) -> str:
    """The same, shorter and quoted."""
    return f"'{plain(text, 60)}'"


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names of settings in one line."""
    unique = list(dict.fromkeys(map(plain, names)))
    return ", ".join(unique[:most]) + (f" and {len(unique) - most} more" if len(unique) > most else "")
