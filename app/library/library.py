"""The adapters that a person has. The files are the truth; their headers say what they are."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.card import model_card, renamed_card
from adapters.errors import StudioError
from adapters.files import copy_with_metadata, read_header, sync_folder, write_atomic, write_text
from adapters.labels import sidecar
from adapters.naming import check_name
from adapters.record import Concept, read_record
from app.concepts.consent import Consents
from app.errors import Missing
from app.home import Home
from app.library.claims import claimed, is_claimed
from app.library.library_entry import BESIDE, Entry, matching, read_entry, tags_of, write_sidecar
from app.library.library_index import Index

_GRAVE = re.compile(r"(\d{8}-\d{6})-([A-Za-z0-9_-]+)")
_TITLE = "modelspec.title"


@dataclass(frozen=True)
class Deleted:
    """An adapter in the trash."""

    id: str
    name: str
    when: str
    """Local time, year to second."""


class Library:
    """Adapter files with their sidecars, cards and thumbnails in one folder."""

    def __init__(self, home: Home) -> None:
        self.folder = home.adapters
        self.trash = home.trash
        self.runs = home.runs
        self._consents = Consents(home.consents)
        self._index = Index(home.adapters)

    def entries(self) -> list[Entry]:
        """Every readable adapter, newest first. Damaged files are left where they are."""
        return self._index.entries()

    def search(self, text: str = "", tag: str = "") -> list[Entry]:
        """Those that have every word of `text` in name, trigger, noun, method, base or tags, and that have `tag`."""
        return matching(self.entries(), text, tag)

    def tags(self) -> dict[str, int]:
        """Every tag and how many adapters have it, the most used first."""
        return tags_of(self.entries())

    def get(self, name: str) -> Entry:
        """The adapter of that name; StudioError when there is none."""
        path = self.folder / f"{check_name(name)}.safetensors"
        if not path.is_file():
            have = ", ".join(e.name for e in self.entries()[:8]) or "the library is empty"
            raise Missing(f"There is no adapter '{name}'; choose one that is there ({have}).")
        return read_entry(path)

    def has(self, name: str) -> bool:
        """Whether the name is taken (names that differ in case alone are the same)."""
        return self._is_written(name) or is_claimed(self.folder, name)

    def _is_written(self, name: str, but: str = "") -> bool:
        return any(p.stem.lower() == name.lower() and p.stem != but and _has_content(p)
                   for p in self.folder.glob("*.safetensors"))

    def free_name(self, wanted: str) -> str:
        """`wanted`, or with the first number that makes it free."""
        name, number = wanted, 1
        while self.has(name):
            number += 1
            name = f"{wanted[:58]}-{number}"
        return name

    @contextlib.contextmanager
    def new_file(self, wanted: str) -> Iterator[Path]:
        """A new file under a free name that nobody else gets; it is gone again when the block fails."""
        with self._free(wanted) as name:
            path = self.folder / f"{name}.safetensors"
            try:
                yield path
            except BaseException:
                _remove(path)
                raise

    @contextlib.contextmanager
    def _free(self, wanted: str) -> Iterator[str]:
        """Hold `wanted`, or with the first number that makes it free, for the block."""
        with contextlib.ExitStack() as held:
            while True:
                name = self.free_name(wanted)
                with contextlib.suppress(FileExistsError):  # another was quicker
                    held.enter_context(self._held(name))
                    break
            yield name

    @contextlib.contextmanager
    def _held(self, name: str, but: str = "") -> Iterator[None]:
        """Hold a name that no adapter has `but` one. Raises FileExistsError when another has or holds it."""
        with claimed(self.folder, name):
            if self._is_written(name, but) or _has_content(self.folder / f"{name}.safetensors"):
                raise FileExistsError(name)
            yield

    def add(self, source: Path, name: str, preview: Path | None = None) -> Entry:
        """Copy an adapter file in under a free name, then its thumbnail and sidecar.

        Raises Revoked when the consent that it was learned under was revoked.
        """
        with self._kept_under(source), self.new_file(name) as target:
            write_atomic(target, lambda p: shutil.copyfile(source, p) and None)
            return self.complete(target, preview)

    def complete(self, path: Path, preview: Path | None = None) -> Entry:
        """Write the sidecar that other programs read, the model card and the thumbnail beside an adapter file."""
        record = read_record(path)
        write_text(path.with_suffix(".json"), json.dumps(sidecar(record), indent=1))
        write_text(path.with_suffix(".md"), model_card(record))
        if preview and preview.is_file():
            write_atomic(self.thumbnail(path.stem), lambda p: shutil.copyfile(preview, p) and None)
        return read_entry(path)

    def complete_missing(self, path: Path) -> None:
        """Write a sidecar or a model card where one is missing; what is there stays."""
        record = read_record(path)
        for ending, text in ((".json", json.dumps(sidecar(record), indent=1)), (".md", model_card(record))):
            if not path.with_suffix(ending).exists():
                write_text(path.with_suffix(ending), text)

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

    def remark(self, name: str, tags: Sequence[str] | None = None, notes: str | None = None) -> Entry:
        """Set tags or notes; None leaves them. Raises StudioError when they cannot be kept."""
        entry = self.get(name)
        beside = entry.path.with_suffix(".json")
        write_sidecar(beside, beside, entry.record, entry.record, entry.remarks.changed(tags, notes))
        return self.get(name)

    def mark_person(self, name: str) -> Entry:
        """Say of an adapter that it shows a person, such as of a file from elsewhere: it is protected from then on.

        There is no way back: who could take a person's protection away would not need to ask.
        """
        entry = self.get(name)
        if entry.record.shows_a_person:
            return entry
        known = entry.record.concepts or (Concept(name=entry.record.name, noun=entry.record.class_noun,
                                                  trigger=entry.record.trigger),)
        record = entry.record.model_copy(update={
            "concepts": tuple(c.model_copy(update={"kind": "person"}) for c in known)})
        with self._kept_under(entry.path):
            copy_with_metadata(entry.path, entry.path,
                               {**read_header(entry.path).metadata, **record.to_metadata()})
            beside = entry.path.with_suffix(".json")
            write_sidecar(beside, beside, entry.record, record, entry.remarks)
        return self.get(name)

    def rename(self, name: str, new: str) -> Entry:
        """Give an adapter another name: its file and record, sidecar, card and preview.

        Its trigger stays, since that is what it learned. Raises StudioError when the name is taken.
        """
        entry, new = self.get(name), check_name(new)
        if new == entry.name:
            return entry
        with self._kept_under(entry.path), contextlib.ExitStack() as held:
            try:
                held.enter_context(self._held(new, but=entry.name))
            except FileExistsError as error:
                raise StudioError(f"There is an adapter '{new}' already; choose another name.") from error
            return self._move(entry, self.folder / f"{new}.safetensors")

    @contextlib.contextmanager
    def _kept_under(self, path: Path) -> Iterator[None]:
        """While an adapter gets another place nothing is erased: whoever does so looks for it in one of the two.

        Raises Revoked when the consent that it was learned under was revoked, StudioError when it is gone.
        """
        with self._consents.held(str(read_record(path).provenance.get("consent", ""))):
            read_record(path)
            yield

    def _move(self, entry: Entry, target: Path) -> Entry:
        """Write everything under the new name, then take the old away: what is cut off has lost nothing."""
        try:
            self._write_as(entry, target)
        except BaseException:
            _remove(target)
            raise
        _remove(entry.path)
        return read_entry(target)

    def _write_as(self, entry: Entry, target: Path) -> None:
        record, known = entry.record.renamed(target.stem), read_header(entry.path).metadata
        write_sidecar(target.with_suffix(".json"), entry.path.with_suffix(".json"), entry.record, record,
                      entry.remarks)
        write_text(target.with_suffix(".md"), renamed_card(card_of(entry), entry.record.name, record.name))
        if (preview := entry.path.with_suffix(".preview.png")).is_file():
            write_atomic(self.thumbnail(target.stem), lambda p: shutil.copyfile(preview, p) and None)
        title = {_TITLE: record.name} if _TITLE in known else {}
        copy_with_metadata(entry.path, target, {**known, **title, **record.to_metadata()})
        os.utime(target, (entry.changed, entry.changed))  # a name is not news: the order of the list stays

    def delete(self, name: str) -> Path:
        """Move an adapter with all that lies beside it into the trash; returns where it went."""
        entry = self.get(name)
        grave = self.trash / f"{time.strftime('%Y%m%d-%H%M%S')}-{entry.name}"
        while grave.exists():  # of that name, a second ago
            grave = grave.with_name(f"{grave.name}-{secrets.token_hex(2)}")
        grave.mkdir(parents=True)
        for path in _files(entry.path):
            if path.exists():
                shutil.move(path, grave / path.name)
        for changed in (grave, self.folder):
            sync_folder(changed)
        return grave

    def deleted(self) -> list[Deleted]:
        """What is in the trash, the last deleted first."""
        found = []
        for grave in self.trash.iterdir() if self.trash.is_dir() else ():
            if (known := _GRAVE.fullmatch(grave.name)) and (files := sorted(grave.glob("*.safetensors"))):
                when = time.strftime("%Y-%m-%d %H:%M:%S", time.strptime(known[1], "%Y%m%d-%H%M%S"))
                found.append(Deleted(grave.name, files[0].stem, when))
        return sorted(found, key=lambda d: d.id, reverse=True)

    def restore(self, id: str) -> Entry:
        """Bring a deleted adapter back, under a free name when its own was given to another meanwhile."""
        lost = next((d for d in self.deleted() if d.id == id), None)
        if lost is None:
            raise Missing(f"'{id[:80]}' is not in the trash; choose one that is there.")
        source = self.trash / id / f"{lost.name}.safetensors"
        with self._kept_under(source), self._free(source.stem) as name:
            return self._brought_back(source, name)

    def _brought_back(self, source: Path, name: str) -> Entry:
        if name != source.stem:
            back = self._move(read_entry(source), self.folder / f"{name}.safetensors").path
        else:
            back = self.folder / source.name
            for path in reversed(_files(source)):  # the adapter last: cut off, it is still in the trash
                if path.exists():
                    shutil.move(path, self.folder / path.name)
            sync_folder(self.folder)
        with contextlib.suppress(OSError):  # something else lies there too
            source.parent.rmdir()
        return read_entry(back)


def card_of(entry: Entry) -> str:
    """The model card as Markdown; made anew when it is not there."""
    path = entry.path.with_suffix(".md")
    return path.read_text("utf-8", errors="replace") if path.is_file() else model_card(entry.record)


def _has_content(path: Path) -> bool:
    """Whether an adapter is there; empty files held names for older versions."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    for file in _files(path):
        file.unlink(missing_ok=True)


def _files(path: Path) -> list[Path]:
    """An adapter file and all that may lie beside it."""
    return [path, *(path.with_suffix(ending) for ending in BESIDE)]
