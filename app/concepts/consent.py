"""Consent to learn a person's likeness: statements bound to the pictures they are about, and what revoking one does.

A statement is a JSON file under `consents/`. It counts for a training when it is not revoked and names the SHA-256 of
each of its pictures. Revoking removes what was made from them and leaves the statement, with what was removed.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from adapters.errors import StudioError
from adapters.files import write_text
from app.concepts.draft import Draft
from app.errors import Missing, Revoked

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=300)]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Statement(BaseModel):
    """Who agreed to what, when, and who says so; for which pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")] = Field(
        default_factory=lambda: secrets.token_hex(6))
    """12 hex digits."""
    who: Line
    """The person in the pictures."""
    scope: Line
    """What the person agreed to."""
    by: Line
    """Who made this statement: the person, or who has their consent."""
    date: date
    """When the person agreed; not in the future."""
    images: Annotated[tuple[Hash, ...], Field(min_length=1)]
    """SHA-256 of each picture file that it is about."""
    pixels: tuple[Hash, ...] = ()
    """SHA-256 of each one's pixels: a copy that was saved anew is found by these when it is revoked."""
    made: float = Field(default_factory=time.time)
    """When it was recorded, in seconds since 1970."""
    revoked: float | None = None
    """When it was revoked, in seconds since 1970; none: it stands."""
    removed: tuple[str, ...] = ()
    """What was removed when it was revoked."""

    @field_validator("date")
    @classmethod
    def _past(cls, value: date) -> date:
        if value > date.today():
            raise ValueError("the day of consent is not in the future")
        return value


class Consents:
    """All statements of a data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def give(self, **fields: object) -> Statement:
        """Record a statement. Raises StudioError when something is missing."""
        try:
            made = Statement.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise StudioError(f"A statement of consent says who, scope, by, date and images, but '{where}' is "
                              f"not right ({first['msg']}); correct it.") from error
        return self._save(made)

    def all(self) -> list[Statement]:
        """Every statement, the newest first. Raises StudioError for one that cannot be read: it may be revoked."""
        return sorted((self._read(p) for p in self.folder.glob("*.json")), key=lambda s: -s.made)

    def get(self, id: str) -> Statement:
        """One statement; StudioError when there is none."""
        path = self.folder / f"{id}.json"
        if not (len(id) == 12 and id.isalnum() and path.is_file()):
            raise Missing(f"There is no statement of consent '{id[:40]}'; see the list of them.")
        return self._read(path)

    @contextlib.contextmanager
    def held(self, under: str = "") -> Iterator[None]:
        """While this is held, in any process, nothing is revoked or erased: what comes meanwhile is found by the next.

        A thread that holds it may hold it again. Raises Revoked when the statement that something is to be learned or
        kept `under` was revoked before.
        """
        with FileLock(self.folder / ".lock", is_singleton=True):  # one for all of this process: it counts by thread
            self.check(under)
            yield

    def check(self, under: str) -> None:
        """Raise Revoked when the statement that something is learned or kept `under` was revoked."""
        if under and self._is_revoked(under):
            raise Revoked(f"The statement of consent '{under[:40]}' was revoked, so nothing is learned or kept under "
                          "it; take these pictures out, or record a new one.")

    def stands(self, id: str) -> bool:
        """Whether there is a statement of that id that was not revoked."""
        try:
            return self.get(id).revoked is None
        except Missing:
            return False

    def _is_revoked(self, id: str) -> bool:
        """False also for one that is not here, such as of an adapter from elsewhere."""
        try:
            return self.get(id).revoked is not None
        except Missing:
            return False

    def look(self, images: Collection[str]) -> tuple[Statement | None, int]:
        """The standing statement that names the most of these pictures (SHA-256), if it names all, and how many not."""
        wanted = set(images)
        standing = [s for s in self.all() if s.revoked is None]
        best = max(standing, key=lambda s: len(wanted & set(s.images)), default=None)
        missing = len(wanted - set(best.images)) if best else len(wanted)
        return (None if missing or not wanted else best), missing

    def for_images(self, images: Collection[str]) -> Statement:
        """The statement that covers all of these pictures (SHA-256). Raises StudioError when none does."""
        found, missing = self.look(images)
        if found is None:
            raise _uncovered(missing, images)
        return found

    def check_covers(self, id: str, images: Collection[str]) -> None:
        """Raise StudioError when the statement `id`, if one is named, is not about all of these pictures (SHA-256).

        Asked of what is learned from in the end: a picture may have come since the statement was looked for.
        """
        if id and (missing := len(set(images) - set(self.get(id).images))):
            raise _uncovered(missing, images)

    def for_draft(self, draft: Draft) -> str:
        """The id of the statement that a draft's person is learned under, '' when it shows none.

        Raises StudioError when there should be one.
        """
        if all(t.kind != "person" for t in draft.things):
            return ""
        return self.for_images([s.sha256 for s in draft.shots]).id

    def close(self, id: str, removed: Iterable[str]) -> Statement:
        """Note that a statement was revoked and what was removed with it."""
        statement = self.get(id)
        return self._save(statement.model_copy(update={
            "revoked": statement.revoked or time.time(), "removed": (*statement.removed, *removed)}))

    def _save(self, statement: Statement) -> Statement:
        write_text(self.folder / f"{statement.id}.json", statement.model_dump_json(indent=1) + "\n")
        return statement

    @staticmethod
    def _read(path: Path) -> Statement:
        try:
            return Statement.model_validate_json(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise StudioError(f"The statement of consent '{path}' cannot be read; put it right before a person is "
                              "learned.") from error


def _uncovered(missing: int, images: Collection[str]) -> StudioError:
    return StudioError(f"A person's likeness is learned only with their consent, and {missing} of {len(set(images))} "
                       "pictures have no statement; record who agreed to what, when, for these pictures.")
