"""Erasing for good: everything about a concept, or all that was made from pictures whose consent is revoked.

What goes: adapters, trainings with checkpoints and previews, evaluations, drafts, pictures painted with the adapters or
begun from the drafts' pictures; in the trash too, and the copies that are kept for an hour or a day. What is being
painted with them is cancelled. What was downloaded or exported is out of reach.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.files import sha256
from adapters.naming import MAX_LENGTH
from adapters.record import AdapterRecord, read_record
from app.concepts.belongings import Found, drafts_in, hashes_of, pixels_in
from app.concepts.consent import Consents, Statement
from app.concepts.drafts import Drafts
from app.errors import Missing
from app.home import Home
from app.jobs.job import ACTIVE
from app.jobs.queue import DOING
from app.jobs.store import JobStore
from app.library.library_entry import BESIDE
from app.painting.gallery import Gallery
from app.painting.paintings import Paintings
from app.painting.styles import Styles
from app.system import backups, leftovers
from pipelines.image_file import tensors_hash


@dataclass(frozen=True)
class Mentions:
    """Where else an adapter or a picture is spoken of by its name."""

    gallery: Gallery
    styles: Styles
    unshare: Callable[[str], int]
    """Takes an adapter back from all that it is shared with; with how many it was."""


class Eraser:
    """Erases on one data folder."""

    def __init__(self, home: Home, store: JobStore, drafts: Drafts, consents: Consents, paintings: Paintings,
                 mentions: Mentions) -> None:
        self.home, self.store, self.drafts, self.consents, self.paintings = home, store, drafts, consents, paintings
        self.mentions = mentions

    def concept(self, name: str) -> list[str]:
        """Everything about the concept of that name; what was removed, a line each.

        Raises StudioError when there is nothing, while a job of it or with its adapter waits or runs, and when it was
        learned together with others: what is whole goes as a whole, and is named so.
        """
        self._check_alone(name)
        return self._erase(lambda: self._of_concept(name),
                           f"There is nothing called '{name[:60]}' to erase; choose one from the library.")

    def _check_alone(self, name: str) -> None:
        asked = name.lower()
        together = [(record.name, [c.name for c in record.concepts]) for path, record in self._adapters()
                    if asked != path.stem.lower()]
        together += [(str(told.get("name", "")), _names_in(told)) for _, told in self._runs()]
        for whole, names in together:
            if asked != whole.lower() and (others := _others(asked, names)):
                raise StudioError(f"'{name[:60]}' was learned together with {others} in '{whole[:60]}' and cannot be "
                                  f"taken out of it; erase '{whole[:60]}' first, with which all of them go.")
        for draft in self.drafts.all():
            names = [t.name for t in draft.things]
            if asked != _joined(names) and (others := _others(asked, names)):
                raise StudioError(f"'{name[:60]}' is in the draft '{draft.label[:60]}' together with {others}; take it "
                                  "out of that draft first, then erase.")

    def _of_concept(self, name: str) -> Found:
        found = Found()
        for path, record in self._adapters():
            if name.lower() in {path.stem.lower(), record.name.lower()}:
                self._with_adapter(found, path, record)
        for id, told in self._runs():
            if id in found.runs or str(told.get("name", "")).lower() == name.lower():
                self._with_run(found, id, told)
                found.drafts |= {str(told["draft"])} if told.get("draft") else set()
        found.drafts |= {d.id for d in self.drafts.all() if _joined([t.name for t in d.things]) == name.lower()}
        found.drafts |= {d.id for d in drafts_in(self.drafts.trash) if name.lower() in [
            _joined([t.name for t in d.things]), *(t.name.lower() for t in d.things)]}
        found.pictures |= self._pictures_of(found.drafts)
        return found

    def statement(self, statement: Statement) -> list[str]:
        """All that was made under a statement of consent, or of its pictures under none, and its pictures themselves.

        Raises StudioError while a job of that waits or runs.
        """
        return self._erase(lambda: self._of_statement(statement), "")

    def _of_statement(self, statement: Statement) -> Found:
        found, images = Found(pictures={*statement.images, *statement.pixels}), set(statement.images)
        for path, record in self._adapters():
            told = record.provenance
            if self._is_under(statement, told.get("consent"), told.get("images_sha256")):
                self._with_adapter(found, path, record)
        for id, told in self._runs():
            if id in found.runs or self._is_under(statement, told.get("consent"), told.get("image_hashes")):
                self._with_run(found, id, told)
        for draft in self.drafts.all():
            if gone := {s.id for s in (*draft.shots, *draft.removed) if s.sha256 in images}:
                found.shots[draft.id] = gone
        found.drafts |= {d.id for d in drafts_in(self.drafts.trash)
                         if any(s.sha256 in images for s in (*d.shots, *d.removed))}
        return found

    def _is_under(self, statement: Statement, consent: object, images: object) -> bool:
        """Whether what was learned from `images` goes with a statement: by its consent, or where no other covers it,
        such as when the person was called an object."""
        if consent == statement.id:
            return True
        listed = images if isinstance(images, list) else []
        return any(h in statement.images for h in listed) and not self.consents.stands(str(consent))

    def _pictures_of(self, drafts: Collection[str]) -> set[str]:
        found = set[str]()
        for place in (self.drafts.folder, self.drafts.trash):
            for draft in drafts_in(place):
                if draft.id in drafts:
                    found |= {s.sha256 for s in (*draft.shots, *draft.removed)}
                    found |= set(pixels_in(place / draft.id / "pictures"))
        return found

    def _with_adapter(self, found: Found, path: Path, record: AdapterRecord) -> None:
        found.adapters.append(path)
        found.names |= {path.stem, record.name}
        found.hashes.add(tensors_hash(path))
        if run := str(record.provenance.get("run", "")):
            found.runs.add(run)

    def _with_run(self, found: Found, id: str, told: dict[str, Any]) -> None:
        found.runs.add(id)
        found.names.add(str(told.get("name", "")))  # which its checkpoints have, whatever its adapter is called now

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

    def _erase(self, look: Callable[[], Found], nothing: str) -> list[str]:
        found = look()
        self._check_idle(found)
        self.paintings.call_off(found.paints)
        found = look().with_all_of(found)  # waiting for a picture to end takes a while
        self._check_idle(found)
        removed = [*self._erase_jobs(found), *self._erase_pictures(found), *self._erase_drafts(found),
                   *self._erase_copies(found), *self._erase_mentions(found), *self._erase_adapters(found)]
        # Once more: what was finished or brought back in between is kept by nobody from here on.
        found = look().with_all_of(found)
        removed += [*self._erase_jobs(found), *self._erase_drafts(found), *self._erase_adapters(found),
                    *self._erase_pictures(found), *self._erase_copies(found)]
        if not removed and nothing:
            raise Missing(nothing)
        return removed

    def _check_idle(self, found: Found) -> None:
        """Raise StudioError while a job of it waits or runs."""
        mine = {*self._jobs_of(found), *found.runs}
        busy = next((j for j in self.store.all() if j.id in mine and j.state in ACTIVE), None)
        if busy:
            raise StudioError(f"'{busy.name}' ({DOING[busy.kind]}) is {busy.state}; stop it first, then erase.")

    def _jobs_of(self, found: Found) -> dict[str, str]:
        """The jobs that belong to it or use its adapters, by id: what each is called."""
        jobs = dict[str, str]()  # of folders that are here: what a file says of its run may be anything
        for id, told in self._runs():
            if id in found.runs or found.has(str(told.get("adapter", "")).split(":")[0]) or (
                    told.get("run") in found.runs - {""} or told.get("draft") in found.drafts - {""}):
                jobs[id] = str(told.get("kind", DOING["train"]))
        return jobs

    def _erase_jobs(self, found: Found) -> Iterator[str]:
        jobs = self._jobs_of(found)
        for id, called in jobs.items():
            for place in self._run_places():
                shutil.rmtree(place / id, ignore_errors=True)
            self.store.forget(id)
            yield f"{called} {id}"
        yield from backups.forget(self.home, {*jobs, *found.runs}, found.names)

    def _erase_pictures(self, found: Found) -> Iterator[str]:
        for place in (self.home.images, self.home.trash / "images"):
            for file in sorted(place.glob("*.png")):
                if found.shown_in(file):
                    self.mentions.gallery.forget(file.name)
                    file.unlink(missing_ok=True)
                    yield f"picture {file.name}"

    def _erase_drafts(self, found: Found) -> Iterator[str]:
        for id in sorted(found.drafts):
            for place in (self.drafts.folder, self.drafts.trash):
                if (place / id).is_dir():
                    shutil.rmtree(place / id)
                    yield f"draft {id}"
        for id, shots in found.shots.items():
            self.drafts.erase(id, shots)
            yield f"{len(shots)} pictures of draft {id}"

    def _erase_copies(self, found: Found) -> Iterator[str]:
        """What is kept for a while only: pictures to paint on, uploads, exported files, and what a crash left."""
        leftovers.sweep(self.home)
        for copy in leftovers.loose_files(self.home):
            if not found.pictures.isdisjoint(hashes_of(copy)):
                copy.unlink(missing_ok=True)
                yield f"temporary copy {copy.name}"
        for picture in sorted((self.home.temporary / "sources").glob("*.png")):
            if found.shown_in(picture):
                picture.unlink()
                picture.with_name(f"{picture.stem}-mask.png").unlink(missing_ok=True)
                yield f"picture to paint on {picture.stem}"
        for hash in sorted(found.hashes):
            for folder in sorted((self.home.temporary / "exports").glob(f"{hash}*")):
                shutil.rmtree(folder, ignore_errors=True)
                yield f"export {folder.name}"

    def _erase_mentions(self, found: Found) -> Iterator[str]:
        """Styles and shares by the names of what goes."""
        for name in sorted(found.names - {""}):
            if self.mentions.unshare(name):
                yield f"share of {name}"
        with contextlib.suppress(StudioError):  # of a damaged file nothing is painted with
            for style in self.mentions.styles.forget(found.has):
                yield f"style {style}"

    def _erase_adapters(self, found: Found) -> Iterator[str]:
        """After what is found by them: cut off in between, the rest can still be erased."""
        for path in found.adapters:
            yield f"adapter {path.stem} (SHA-256 {sha256(path)})"
            for part in (*(path.with_suffix(ending) for ending in BESIDE), path):
                part.unlink(missing_ok=True)
            if self.home.trash in path.parents:
                shutil.rmtree(path.parent, ignore_errors=True)


def _names_in(told: dict[str, Any]) -> list[str]:
    """The names of the concepts of a training, as its settings have them."""
    concepts = told.get("concepts")
    return [str(c.get("name", "")) for c in concepts if isinstance(c, dict)] if isinstance(concepts, list) else []


def _others(asked: str, names: Sequence[str]) -> str:
    """The other ones of several names, in quotes; '' where `asked` is not among them or alone."""
    if asked not in [n.lower() for n in names]:
        return ""
    return ", ".join(f"'{n[:60]}'" for n in names if n.lower() != asked)


def _joined(names: Sequence[str]) -> str:
    """What a training of things of these names is called."""
    return "-".join(names)[:MAX_LENGTH].lower()
