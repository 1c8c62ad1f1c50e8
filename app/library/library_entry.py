"""One adapter of the library, as its files tell: the header, the sidecar and the model card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from adapters.card import read_figures
from adapters.errors import StudioError
from adapters.files import write_text
from adapters.formats import formats_of
from adapters.identity import FAMILY_TITLES
from adapters.labels import sidecar
from adapters.record import AdapterRecord, read_record
from pipelines.base_models.locate import locate

BESIDE = (".json", ".md", ".preview.png")
"""What lies beside an adapter: the sidecar, the model card, the preview."""
MOST_TAGS, LONGEST_TAG, LONGEST_NOTES = 20, 40, 4000
_OURS = "semblance"  # the sidecar's table that other programs do not know


@dataclass(frozen=True)
class Remarks:
    """What a person wrote about an adapter. It is kept in the sidecar."""

    tags: tuple[str, ...] = ()
    notes: str = ""

    def changed(self, tags: Sequence[str] | None = None, notes: str | None = None) -> Remarks:
        """With other tags or notes, each once. Raises StudioError when they are too many or too long."""
        if tags is not None and not (isinstance(tags, (list, tuple)) and all(isinstance(t, str) for t in tags)):
            raise StudioError("Tags are a list of words, but something else came; write them as a list.")
        if notes is not None and not (isinstance(notes, str) and len(notes) <= LONGEST_NOTES):
            raise StudioError(f"Notes are a text of {LONGEST_NOTES} letters at most; write less.")
        once: dict[str, str] = {}
        for tag in self.tags if tags is None else (" ".join(t.split()) for t in tags):
            if tag:
                once.setdefault(tag.casefold(), tag)
        if odd := [t for t in once.values() if len(t) > LONGEST_TAG or "," in t or not t.isprintable()]:
            raise StudioError(f"'{odd[0][:40]}' cannot be a tag; use {LONGEST_TAG} letters at most and no comma.")
        if len(once) > MOST_TAGS:
            raise StudioError(f"An adapter has {MOST_TAGS} tags at most, {len(once)} were given; leave some out.")
        return Remarks(tuple(once.values()), self.notes if notes is None else notes.strip())


@dataclass(frozen=True)
class Entry:
    """One adapter of the library."""

    path: Path
    record: AdapterRecord
    name: str
    size: int = 0
    """Bytes of the adapter file."""
    changed: float = 0.0
    """Unix time of its last change."""
    remarks: Remarks = Remarks()
    figures: dict[str, Any] = field(default_factory=dict)
    """What `evaluate` measured, as the model card has it."""
    preview: int = 0
    """When the preview picture was changed, in nanoseconds; 0 without one."""

    @property
    def base_spec(self) -> str:
        """What to give as `--base` to use it: what it was trained with, '' when that is unknown or gone."""
        spec = str(self.record.provenance.get("base", "")) or self.record.base.family
        try:
            locate(spec)
        except StudioError:
            return ""
        return spec

    def as_dict(self) -> dict[str, Any]:
        """For `list --json` and the Library room."""
        r = self.record
        return {"name": self.name, "kind": r.kind, "method": r.method, "trigger": r.trigger,
                "triggers": self.triggers, "class_noun": r.class_noun, "phrases": self.phrases,
                "concepts": [c.model_dump() for c in r.concepts], "path": str(self.path),
                "base": r.base.name or r.base.family, "family": r.base.family,
                "family_title": FAMILY_TITLES[r.base.family],
                "bytes": self.size, "formats": list(formats_of(r)), "created": plain(r.provenance.get("created", "")),
                "tags": list(self.remarks.tags), "notes": self.remarks.notes, "figures": self.figures,
                "preview": self.preview}

    @property
    def phrases(self) -> list[str]:
        """What to write in a prompt for each concept; empty when nothing is known."""
        return [p for p in ([c.phrase for c in self.record.concepts] or [self.record.phrase]) if p]

    @property
    def triggers(self) -> dict[str, str]:
        """Each concept's name to its trigger, without the noun; empty when none are known."""
        if self.record.concepts:
            return {c.name: c.trigger for c in self.record.concepts}
        return {self.name: self.record.trigger} if self.record.trigger else {}

    @cached_property
    def searched(self) -> str:
        """All that a search looks at, case folded."""
        r = self.record
        concepts = (w for c in r.concepts for w in (c.name, c.trigger, c.noun))
        return "\n".join((self.name, r.trigger, r.class_noun, r.method, r.kind, r.base.name, r.base.family,
                          FAMILY_TITLES[r.base.family], *concepts, *self.remarks.tags)).casefold()

    def matches(self, words: Sequence[str], tag: str = "") -> bool:
        """Whether it has every (case folded) word somewhere, and the tag where one is given."""
        return all(w in self.searched for w in words) and (
            not tag or tag.casefold() in (t.casefold() for t in self.remarks.tags))


def matching(entries: Sequence[Entry], text: str, tag: str = "") -> list[Entry]:
    """Those that have every word of `text`, and the tag where one is given, in their order."""
    words = text.casefold().split()
    return [e for e in entries if e.matches(words, tag)]


def tags_of(entries: Sequence[Entry]) -> dict[str, int]:
    """Every tag, as it was written first, and how many have it; the most used first."""
    used, written = Counter[str](), dict[str, str]()
    for tag in (t for e in entries for t in e.remarks.tags):
        used[written.setdefault(tag.casefold(), tag)] += 1
    return dict(sorted(used.items(), key=lambda u: (-u[1], u[0].casefold())))


def plain(value: object, most: int = 200) -> str:
    """Whatever a stranger's file says, as text that fits in any answer."""
    return str(value)[:most].encode("utf-8", "replace").decode("utf-8")


def read_entry(path: Path) -> Entry:
    """An adapter from its files. Raises StudioError when its header is not whole, OSError when it is gone."""
    found, record = path.stat(), read_record(path)
    preview = path.with_suffix(".preview.png")
    card = path.with_suffix(".md")
    figures = read_figures(card.read_text("utf-8", errors="replace")) if card.is_file() else {}
    return Entry(path, record, path.stem, found.st_size, found.st_mtime, remarks_in(_table(path.with_suffix(".json"))),
                 figures, preview.stat().st_mtime_ns if preview.is_file() else 0)


def remarks_in(table: dict[str, Any]) -> Remarks:
    """The remarks in a sidecar; what makes no sense there is not shown, and stays in the file until it is changed."""
    ours = table.get(_OURS)
    if not isinstance(ours, dict):
        return Remarks()
    tags, notes = ours.get("tags"), ours.get("notes")
    return Remarks(tuple(t for t in tags if isinstance(t, str)) if isinstance(tags, list) else (),
                   notes if isinstance(notes, str) else "")


def _table(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write_sidecar(path: Path, source: Path, before: AdapterRecord, after: AdapterRecord, remarks: Remarks) -> None:
    """Write the sidecar `path` for `after`, out of the one at `source` that was written for `before`.

    What another program or a person changed in it stays. Raises StudioError when `source` is damaged.
    """
    table = _table(source)
    if not table and source.exists():
        raise StudioError(f"The sidecar '{source.name}' is damaged, so nothing can be added to it; mend it or move it "
                          "away.")
    was, now = (sidecar(r, notes=n) for r, n in ((before, remarks_in(table).notes), (after, remarks.notes)))
    table = {**table, **{k: v for k, v in now.items() if k not in table or table[k] == was[k]}}
    ours = table.get(_OURS)
    table[_OURS] = {**(ours if isinstance(ours, dict) else {}), "tags": list(remarks.tags), "notes": remarks.notes}
    write_text(path, json.dumps(table, indent=1))
