"""Copies that migrations and repairs keep of what they change: what is erased goes from them too."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path

from app.home import Home


def forget(home: Home, jobs: Collection[str], names: Collection[str]) -> Iterator[str]:
    """Take jobs out of every backup, by their ids and by the names of what they learned; a line for each that had any.
    """
    for backup in sorted(home.backups.glob("*")):
        if any([*_folders(backup, jobs), *_rows(backup / home.database.name, jobs, names)]):
            yield f"its part of the backup {backup.name}"


def _folders(backup: Path, jobs: Collection[str]) -> Iterator[bool]:
    for id in jobs:
        for folder in (backup / "runs" / id, backup / "trash" / "runs" / id):
            if id and folder.is_dir():
                shutil.rmtree(folder)
                yield True


def _rows(database: Path, jobs: Collection[str], names: Collection[str]) -> Iterator[bool]:
    """A list that cannot be read, which may be why it was put away, goes whole where it speaks of them."""
    if not database.is_file():
        return
    wanted = [{"id": id, "name": name} for id, name in (*((j, "") for j in jobs), *(("", n) for n in names))]
    try:
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
            gone = sum(db.execute("DELETE FROM jobs WHERE (:id != '' AND id = :id) OR (:name != '' AND "
                                  "lower(name) = lower(:name))", one).rowcount for one in wanted)
            if gone:
                db.execute("VACUUM")  # nothing of them is left in free pages
                yield True
    except sqlite3.DatabaseError:
        files = [p for ending in ("", "-wal", "-shm") if (p := Path(f"{database}{ending}")).is_file()]
        if any(word.encode() in p.read_bytes() for p in files for word in (*jobs, *names) if word):
            for path in files:
                path.unlink(missing_ok=True)
            yield True
