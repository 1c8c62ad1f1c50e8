"""The file of accounts: SQLite, one for the whole studio, readable by its owner alone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from adapters.errors import StudioError
from app.database import migrate, transaction

_MIGRATIONS = (
    """CREATE TABLE accounts (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, password TEXT NOT NULL,
        disk_gb REAL, queue INTEGER, created REAL NOT NULL)""",
    "CREATE UNIQUE INDEX one_of_a_name ON accounts (lower(name))",
    """CREATE TABLE sessions (
        hash TEXT PRIMARY KEY, account TEXT NOT NULL, kind TEXT NOT NULL, created REAL NOT NULL,
        expires REAL NOT NULL)""",
    "CREATE TABLE failures (what TEXT NOT NULL, at REAL NOT NULL)",
    "CREATE INDEX failures_of ON failures (what, at)",
    """CREATE TABLE shares (
        owner TEXT NOT NULL, adapter TEXT NOT NULL, version TEXT NOT NULL, reader TEXT NOT NULL,
        PRIMARY KEY (owner, adapter, reader))""",
)


class Database:
    """Every call opens its own connection, so any process may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # hashes of passwords: not for others on the machine
        except OSError as error:
            raise StudioError(f"The accounts in '{path}' cannot be opened ({error.strerror}); check the rights of the "
                              "data folder.") from error
        with self.connect() as db:
            migrate(db, _MIGRATIONS)

    @contextlib.contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A transaction. Raises StudioError when the file cannot be used."""
        try:
            with transaction(self.path) as db:
                yield db
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise StudioError(f"The accounts in '{self.path}' cannot be used ({error}); check that the disk is not "
                              "full and the file is whole.") from error
