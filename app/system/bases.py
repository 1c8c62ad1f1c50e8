"""The bases that a person has: the starter, and those that were added by path, upload or hub id."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from adapters.errors import StudioError
from adapters.files import move, write_text
from adapters.identity import FAMILIES, FAMILY_TITLES, Family
from app.home import Home
from pipelines.base_models.families import find_family
from pipelines.base_models.hub import PATTERNS, fetch
from pipelines.base_models.locate import BaseLocation, locate


class Base(BaseModel):
    """One base as the list keeps it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    spec: str
    """What to give as `--base`: 'starter', an absolute path or a hub id."""
    name: str
    form: Literal["starter", "folder", "file", "hub"]
    family: Family
    licence: str = ""
    """Its own, as the hub's model card names it; '' where nothing says it."""
    added: str = ""
    """Date and time, ISO 8601."""
    own: bool = False
    """Uploaded: the file is in the data folder."""

    @property
    def id(self) -> str:
        """12 hex digits of what is given as `--base`."""
        return hashlib.sha256(self.spec.encode()).hexdigest()[:12]


STARTER = Base(spec="starter", name="starter", form="starter", family="starter", licence=FAMILIES["starter"].licence)
_LIST = TypeAdapter(list[Base])


class Bases:
    """The list in the data folder. What it names is checked again each time it is shown."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._lock = threading.Lock()

    def all(self) -> list[Base]:
        """The starter, then those that were added. Raises StudioError when the list is damaged."""
        return [STARTER, *self._read()]

    def _read(self) -> list[Base]:
        try:
            return _LIST.validate_json(self.home.base_list.read_text("utf-8"))
        except FileNotFoundError:
            return []
        except (OSError, ValueError, ValidationError) as error:
            raise StudioError(f"The list of bases '{self.home.base_list}' is damaged; mend the file or take it "
                              "away.") from error

    def _write(self, bases: list[Base]) -> None:
        write_text(self.home.base_list, json.dumps([b.model_dump() for b in bases], indent=1))

    def get(self, id: str) -> Base:
        """A base by its id; StudioError when there is none."""
        for base in self.all():
            if base.id == id:
                return base
        raise StudioError(f"There is no base '{id[:40]}' in the list; add it first.")

    def add(self, spec: str, *, licence: str = "", own: bool = False) -> Base:
        """List a folder, a file, or a hub model whose files are here. Raises StudioError when it is no base."""
        location = locate(spec, any_place=True)
        family = find_family(location, offline=True)
        if location.form == "starter":
            return STARTER
        absolute = str(location.path.resolve()) if location.path else location.name
        base = Base(spec=absolute, name=location.name, form=location.form, family=family, own=own,
                    licence=licence, added=time.strftime("%Y-%m-%dT%H:%M:%S"))
        with self._lock:
            known = self._read()
            if found := next((b for b in known if b.spec == absolute), None):
                return found
            self._write([*known, base])
        return base

    def take_in(self, path: Path) -> Base:
        """Move an uploaded, checked single file among the data folder's bases and list it."""
        find_family(locate(str(path), any_place=True), offline=True)
        self.home.bases.mkdir(exist_ok=True)
        name, number = path.name, 1
        while True:
            target = self.home.bases / name
            with contextlib.suppress(FileExistsError):
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
                break
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        move(path, target)
        return self.add(str(target), own=True)

    def remove(self, id: str) -> Base:
        """Take a base out of the list; an uploaded file goes into the trash, all others stay where they are."""
        base = self.get(id)
        if base.form == "starter":
            raise StudioError("The starter belongs to the studio and cannot be taken out.")
        with self._lock:
            self._write([b for b in self._read() if b.id != id])
        file = Path(base.spec)
        if base.own and file.is_file():
            grave = self.home.trash / "bases" / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
            grave.mkdir(parents=True)
            shutil.move(file, grave / file.name)
        return base


def told(base: Base) -> dict[str, Any]:
    """A base for pages and programs: with its size, and `problem`, a sentence when it is not here any more."""
    size, problem = 0, ""
    try:
        size = _bytes(locate(base.spec, any_place=True))
    except (StudioError, OSError) as error:
        problem = str(error)
    # Of a folder or a file older lists kept the family's licence as its own.
    licence = base.licence if base.form in ("starter", "hub") else ""
    return {"id": base.id, **base.model_dump(), "licence": licence, "family_licence": FAMILIES[base.family].licence,
            "family_title": FAMILY_TITLES[base.family], "bytes": size, "problem": problem}


def _bytes(location: BaseLocation) -> int:
    path = location.path or fetch(location.name, True, PATTERNS)
    if path.is_file():
        return path.stat().st_size
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
