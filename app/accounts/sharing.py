"""Adapters that one person lets others paint with. Nothing is copied: taken back or deleted, it is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from app.accounts.accounts import Account, Accounts
from app.accounts.database import Database
from app.errors import Missing
from app.home import Home
from app.library.library import Library
from app.library.library_entry import Entry, read_entry

EVERYONE = ""


class Shares:
    """Who lets whom use what, in the file of accounts."""

    def __init__(self, database: Database, accounts: Accounts, home_of: Callable[[str], Home]) -> None:
        """`home_of` gives an account's data folder by its id."""
        self._db, self._accounts, self._home_of = database, accounts, home_of

    def share(self, owner: Account, adapter: str, to: str = EVERYONE) -> dict[str, str]:
        """Let an account, or everyone, paint with an adapter as it is now; one that is put in its place is not shared.

        Raises StudioError for an adapter that shows a person: consent was given to its owner.
        """
        entry = Library(self._home_of(owner.id)).get(adapter)
        if entry.record.shows_a_person:
            raise StudioError(f"'{entry.name}' shows a person, whose consent was given to you alone; it cannot be "
                              "shared.")
        reader = self._reader(owner, to)
        with self._db.connect() as db:
            db.execute("INSERT OR REPLACE INTO shares VALUES (?, ?, ?, ?)",
                       (owner.id, entry.name, _version(entry.path), reader))
        return {"adapter": entry.name, "to": to, "called": f"{entry.name}@{owner.name}"}

    def unshare(self, owner: Account, adapter: str, to: str = EVERYONE) -> dict[str, str]:
        """Take that back. Raises Missing when it was not shared so."""
        reader = self._reader(owner, to)
        with self._db.connect() as db:
            gone = db.execute("DELETE FROM shares WHERE owner = ? AND adapter = ? AND reader = ?",
                              (owner.id, adapter, reader)).rowcount
        if not gone:
            raise Missing(f"'{adapter[:60]}' is not shared with {to or 'everyone'}; see what is.")
        return {"adapter": adapter, "to": to}

    def forget(self, owner: str, adapter: str) -> int:
        """Take an adapter that is erased back from everybody; with how many it was shared."""
        with self._db.connect() as db:
            return db.execute("DELETE FROM shares WHERE owner = ? AND lower(adapter) = lower(?)",
                              (owner, adapter)).rowcount

    def _reader(self, owner: Account, to: str) -> str:
        if to == EVERYONE:
            return EVERYONE
        reader = self._accounts.get(to)
        if reader.id == owner.id:
            raise StudioError("It is yours already; name somebody else, or nobody for everyone.")
        return reader.id

    def of(self, owner: Account) -> list[dict[str, str]]:
        """What somebody shares, and with whom ('' for everyone)."""
        with self._db.connect() as db:
            rows = db.execute("SELECT adapter, COALESCE(name, '') FROM shares LEFT JOIN accounts ON reader = id "
                              "WHERE owner = ? ORDER BY adapter, name", (owner.id,)).fetchall()
        return [{"adapter": adapter, "to": to} for adapter, to in rows]

    def lent_to(self, reader: str) -> LentTo:
        """What others share with an account."""
        return LentTo(self, reader)

    def find(self, reader: str) -> list[tuple[str, Path]]:
        """NAME@OWNER and file of everything that others share with an account, if it is still what was shared."""
        with self._db.connect() as db:
            rows = db.execute("SELECT DISTINCT owner, name, adapter, version FROM shares JOIN accounts ON owner = id "
                              "WHERE reader IN ('', ?) AND owner != ? ORDER BY adapter, name",
                              (reader, reader)).fetchall()
        found = []
        for owner, name, adapter, version in rows:
            path = self._home_of(owner).adapters / f"{adapter}.safetensors"
            if path.is_file() and _version(path) == version:
                found.append((f"{adapter}@{name}", path))
        return found


@dataclass(frozen=True)
class LentTo:
    """The adapters of others that one account may paint with."""

    shares: Shares
    reader: str

    def file(self, name: str) -> Path:
        """Where one is; raises Missing when it is not lent."""
        for called, path in self.shares.find(self.reader):
            if called.lower() == name.lower():
                return path
        raise Missing(f"No adapter '{name[:80]}' is shared with you; choose one that is.")

    def entries(self) -> list[tuple[str, Entry]]:
        """All of them, by what they are called."""
        return [(called, read_entry(path)) for called, path in self.shares.find(self.reader)]

    def told(self) -> list[dict[str, Any]]:
        """For the page, without what their owners wrote about them."""
        return [{"called": called, "kind": e.record.kind, "method": e.record.method, "phrases": e.phrases,
                 "family": e.record.base.family, "bytes": e.size} for called, e in self.entries()]


def _version(path: Path) -> str:
    known = path.stat()
    return f"{known.st_size}-{known.st_mtime_ns}"
