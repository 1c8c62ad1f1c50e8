"""SQLite as the studio uses it: any process may write, what was answered is on the disk, tables grow by migrations."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

_TURN = 60  # seconds to wait for other processes that write; each may also put a file on the disk meanwhile


@contextlib.contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of its own whose changes are kept (WAL, synchronous FULL) when the block ends without an error.

    Raises sqlite3.DatabaseError, which the caller puts into a sentence.
    """
    with contextlib.closing(sqlite3.connect(path, timeout=_TURN)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=ON")  # what is erased stays in no free page
        with db:
            yield db


def migrate(db: sqlite3.Connection, statements: Sequence[str]) -> None:
    """Run those statements that this file has not seen yet: all or none, by one process.

    `statements` are append only: one that was released is never changed.
    """
    db.execute("BEGIN IMMEDIATE")
    db.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY)")
    done = {row[0] for row in db.execute("SELECT number FROM migrations")}
    for number, statement in enumerate(statements):
        if number not in done:
            db.execute(statement)
            db.execute("INSERT INTO migrations VALUES (?)", (number,))
