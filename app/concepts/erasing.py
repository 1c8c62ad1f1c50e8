"""Erasing for good: everything about a concept, or all that was made from pictures whose consent is revoked.

What goes: adapters, trainings with checkpoints and previews, evaluations, drafts, pictures painted with the adapters;
in the trash too. What was downloaded or exported is out of reach.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from adapters.errors import StudioError
from adapters.files import sha256
from adapters.record import AdapterRecord, read_record
from app.concepts.consent import Statement
from app.concepts.drafts import Draft, Drafts
from app.errors import Missing
from app.home import Home
from app.jobs.store import ACTIVE, JobStore
from app.library.library_entry import BESIDE
from pipelines.image_file import tensors_hash


@dataclass
class _Found:
    """What belongs to the thing that is erased."""

    adapters: list[Path] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)
    drafts: set[str] = field(default_factory=set)
    shots: dict[str, set[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)


class Eraser:
    """Erases on one data folder."""

    def __init__(self, home: Home, store: JobStore, drafts: Drafts) -> None:
        self.home, self.store, self.drafts = home, store, drafts

    def concept(self, name: str) -> list[str]:
        """Everything about the concept of that name; what was removed, a line each.

        Raises StudioError when there is nothing, or while one of its trainings waits or runs.
        """
        found = _Found()
        for path, record in self._adapters():
            if name.lower() in {path.stem.lower(), record.name.lower()}:
                self._with_adapter(found, path, record)
        for id, told in self._runs():
            if id in found.runs or str(told.get("name", "")).lower() == name.lower():
                found.runs.add(id)
                found.drafts |= {str(told["draft"])} if told.get("draft") else set()
        found.drafts |= {d.id for d in self.drafts.all() if [t.name.lower() for t in d.things] == [name.lower()]}
        return self._erase(found, f"There is nothing called '{name[:60]}' to erase; choose one from the library.")

    def statement(self, statement: Statement) -> list[str]:
        """All that was made under a statement of consent, and its pictures themselves."""
        found, images = _Found(), set(statement.images)
        for path, record in self._adapters():
            if record.provenance.get("consent") == statement.id:
                self._with_adapter(found, path, record)
        found.runs |= {id for id, told in self._runs() if told.get("consent") == statement.id}
        for draft in self.drafts.all():
            if gone := {s.id for s in (*draft.shots, *draft.removed) if s.sha256 in images}:
                found.shots[draft.id] = gone
        found.drafts |= {d.id for d in _drafts_in(self.drafts.trash)
                         if any(s.sha256 in images for s in (*d.shots, *d.removed))}
        return self._erase(found, "")

    def _with_adapter(self, found: _Found, path: Path, record: AdapterRecord) -> None:
        found.adapters.append(path)
        found.names |= {path.stem, record.name}
        found.hashes.add(tensors_hash(path))
        if run := str(record.provenance.get("run", "")):
            found.runs.add(run)

    def _adapters(self) -> Iterator[tuple[Path, AdapterRecord]]:
        """Every adapter of the library and of the trash."""
        for path in (*self.home.adapters.glob("*.safetensors"), *self.home.trash.glob("*/*.safetensors")):
            with contextlib.suppress(StudioError, OSError):
                yield path, read_record(path)

    def _runs(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every job's folder with its settings, those in the trash too."""
        for place in self._run_places():
            for file in (*place.glob("*/config.json"), *place.glob("*/task.json")):
                with contextlib.suppress(OSError, ValueError):
                    told = json.loads(file.read_text("utf-8"))
                    yield file.parent.name, told if isinstance(told, dict) else {}

    def _run_places(self) -> tuple[Path, Path]:
        return self.home.runs, self.home.trash / "runs"

    def _erase(self, found: _Found, nothing: str) -> list[str]:
        busy = next((j for j in self.store.all() if j.id in found.runs and j.state in ACTIVE), None)
        if busy:
            raise StudioError(f"'{busy.name}' is {busy.state}; stop it first, then erase it.")
        removed = [*self._erase_jobs(found), *self._erase_pictures(found), *self._erase_drafts(found)]
        for path in found.adapters:  # last: cut off in between, the rest is still found by them
            removed.append(f"adapter {path.stem} (SHA-256 {sha256(path)})")
            for part in (*(path.with_suffix(ending) for ending in BESIDE), path):
                part.unlink(missing_ok=True)
            if self.home.trash in path.parents:
                shutil.rmtree(path.parent, ignore_errors=True)
        if not removed and nothing:
            raise Missing(nothing)
        return removed

    def _erase_jobs(self, found: _Found) -> Iterator[str]:
        about = {n.lower() for n in found.names}
        for id, told in list(self._runs()):
            adapter = str(told.get("adapter", "")).split(":")[0].lower()
            if id in found.runs or adapter in about - {""} or told.get("run") in found.runs - {""} or (
                    told.get("draft") in found.drafts - {""}):
                for place in self._run_places():
                    shutil.rmtree(place / id, ignore_errors=True)
                self.store.forget(id)
                yield f"{told.get('kind', 'training') if 'kind' in told else 'training'} {id}"

    def _erase_pictures(self, found: _Found) -> Iterator[str]:
        for place in (self.home.images, self.home.trash / "images"):
            for file in sorted(place.glob("*.png")):
                if _painted_with(file, found.names, found.hashes):
                    (self.home.cache / "thumbnails" / f"{file.name}.jpg").unlink(missing_ok=True)
                    file.unlink()
                    yield f"picture {file.name}"

    def _erase_drafts(self, found: _Found) -> Iterator[str]:
        for id in sorted(found.drafts):
            for place in (self.drafts.folder, self.drafts.trash):
                if (place / id).is_dir():
                    shutil.rmtree(place / id)
                    yield f"draft {id}"
        for id, shots in found.shots.items():
            self.drafts.erase(id, shots)
            yield f"{len(shots)} pictures of draft {id}"


_CHECKPOINT = re.compile(r"-step\d+$")


def _drafts_in(folder: Path) -> Iterable[Draft]:
    for path in folder.glob("*/draft.json"):
        with contextlib.suppress(OSError, ValueError):
            yield Draft.model_validate_json(path.read_text("utf-8"))


def _painted_with(file: Path, names: set[str], hashes: set[str]) -> bool:
    try:
        with Image.open(file) as image:
            used = json.loads(image.info.get("semblance", "{}")).get("adapters", [])
    except (OSError, ValueError, AttributeError):
        return False
    # By name too, its checkpoints' among it: rather a picture of a namesake too many than one of the person left.
    return any(isinstance(u, dict) and (u.get("hash") in hashes or _CHECKPOINT.sub("", str(u.get("name"))) in names)
               for u in used)
