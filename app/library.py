"""The adapters that a person has. The files are the truth; their headers say what they are."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.card import model_card
from adapters.errors import StudioError
from adapters.files import write_atomic, write_text
from adapters.formats import formats_of
from adapters.labels import sidecar
from adapters.naming import check_name
from adapters.record import AdapterRecord, read_record
from app.home import Home
from pipelines.base_models.locate import locate


@dataclass(frozen=True)
class Entry:
    """One adapter of the library."""

    path: Path
    record: AdapterRecord
    name: str

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
        """For `list --json`."""
        r = self.record
        return {"name": self.name, "kind": r.kind, "method": r.method, "trigger": r.trigger,
                "triggers": self.triggers, "class_noun": r.class_noun,
                "concepts": [c.model_dump() for c in r.concepts], "path": str(self.path),
                "base": r.base.name or r.base.family, "family": r.base.family,
                "bytes": self.path.stat().st_size, "formats": list(formats_of(r)),
                "created": r.provenance.get("created", "")}

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


class Library:
    """Adapter files with their sidecars and thumbnails in one folder."""

    def __init__(self, home: Home) -> None:
        self.folder = home.adapters
        self.trash = home.trash
        self.runs = home.runs

    def entries(self) -> list[Entry]:
        """Every readable adapter, newest first. Damaged files are left where they are."""
        found = []
        for path in self.folder.glob("*.safetensors"):
            with contextlib.suppress(StudioError, OSError):
                found.append((path.stat().st_mtime, Entry(path, read_record(path), path.stem)))
        return [entry for _, entry in sorted(found, key=lambda f: (-f[0], f[1].name))]

    def get(self, name: str) -> Entry:
        """The adapter of that name; StudioError when there is none."""
        path = self.folder / f"{check_name(name)}.safetensors"
        if not path.is_file():
            have = ", ".join(e.name for e in self.entries()[:8]) or "the library is empty"
            raise StudioError(f"There is no adapter '{name}'; choose one that is there ({have}).")
        return Entry(path, read_record(path), path.stem)

    def has(self, name: str) -> bool:
        """Whether the name is taken (names that differ in case alone are the same)."""
        return name.lower() in {p.stem.lower() for p in self.folder.glob("*.safetensors")}

    def free_name(self, wanted: str) -> str:
        """`wanted`, or with the first number that makes it free."""
        name, number = wanted, 1
        while self.has(name):
            number += 1
            name = f"{wanted[:58]}-{number}"
        return name

    def add(self, source: Path, name: str, preview: Path | None = None) -> Entry:
        """Copy an adapter file in under a free name, then its thumbnail and sidecar."""
        target = self.folder / f"{self.free_name(name)}.safetensors"
        write_atomic(target, lambda p: shutil.copyfile(source, p) and None)
        return self.complete(target, preview)

    def complete(self, path: Path, preview: Path | None = None) -> Entry:
        """Write the sidecar that other programs read, the model card and the thumbnail beside an adapter file."""
        record = read_record(path)
        write_text(path.with_suffix(".json"), json.dumps(sidecar(record), indent=1))
        write_text(path.with_suffix(".md"), model_card(record))
        if preview and preview.is_file():
            write_atomic(self.thumbnail(path.stem), lambda p: shutil.copyfile(preview, p) and None)
        return Entry(path, record, path.stem)

    def add_figures(self, name: str, figures: dict[str, Any]) -> Path:
        """Put what `evaluate` measured into the adapter's model card; returns the card."""
        entry = self.get(name)
        card = entry.path.with_suffix(".md")
        write_text(card, model_card(entry.record, figures))
        return card

    def thumbnail(self, name: str) -> Path:
        """Where an adapter's preview picture is, if it has one."""
        return self.folder / f"{name}.preview.png"

    def triggers(self) -> set[str]:
        """Trigger words in use, those of unfinished runs too."""
        used = {e.record.trigger for e in self.entries() if e.record.trigger}
        for file in self.runs.glob("*/config.json"):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                used.add(str(json.loads(file.read_text("utf-8")).get("trigger", "")))
        return used - {""}

    def delete(self, name: str) -> Path:
        """Move an adapter with its sidecar and thumbnail into the trash; returns where it went."""
        entry = self.get(name)
        grave = self.trash / f"{time.strftime('%Y%m%d-%H%M%S')}-{entry.name}"
        grave.mkdir(parents=True, exist_ok=True)
        beside = (entry.path.with_suffix(s) for s in (".json", ".md"))
        for path in (entry.path, *beside, self.thumbnail(entry.name)):
            if path.exists():
                shutil.move(path, grave / path.name)
        return grave
