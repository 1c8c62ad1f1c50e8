"""Jobs in SQLite: what was asked for, and what became of it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adapters.errors import StudioError

State = Literal["queued", "running", "finished", "stopped", "failed", "interrupted"]
ACTIVE: tuple[State, ...] = ("queued", "running")
RESUMABLE: tuple[State, ...] = ("stopped", "failed", "interrupted")

# Append only: a released migration is never changed.
_MIGRATIONS = (
    """CREATE TABLE jobs (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, pid INTEGER,
        message TEXT NOT NULL DEFAULT '', created REAL NOT NULL, started REAL, ended REAL)""",
    """CREATE UNIQUE INDEX one_active_name ON jobs (lower(name))
        WHERE state IN ('queued', 'running')""",
)


@dataclass(frozen=True)
class Job:
    """One training run; its folder under `runs/` has the same id."""

    id: str
    name: str
    state: State
    pid: int | None
    message: str
    created: float
    started: float | None
    ended: float | None


class JobStore:
    """The jobs table. Every call opens its own connection, so any process may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._connect() as db:
            db.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY)")
            done = {row[0] for row in db.execute("SELECT number FROM migrations")}
            for number, statement in enumerate(_MIGRATIONS):
                if number not in done:
                    db.execute(statement)
                    db.execute("INSERT INTO migrations VALUES (?)", (number,))

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as db:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                with db:
                    yield db
        except sqlite3.OperationalError as error:
            raise StudioError(f"The job list '{self.path}' cannot be used ({error}); check that the disk is "
                              "not full and the folder can be written.") from error

    def add(self, id: str, name: str, *, running_in: int | None = None) -> None:
        """Queue a job, or note one that runs in process `running_in` outside the queue.

        Raises StudioError when a waiting or running job has the name.
        """
        now = time.time()
        try:
            with self._connect() as db:
                db.execute(
                    "INSERT INTO jobs (id, name, state, pid, created, started) VALUES (?, ?, ?, ?, ?, ?)",
                    (id, name, "running" if running_in else "queued", running_in, now,
                     now if running_in else None))
        except sqlite3.IntegrityError as error:
            raise StudioError(f"A training named '{name}' is waiting or running already; choose another "
                              "name or stop that one first.") from error

    def get(self, id: str) -> Job | None:
        """One job, or None."""
        found = self._select("WHERE id = ?", (id,))
        return found[0] if found else None

    def all(self) -> list[Job]:
        """Every job, newest first."""
        return self._select("ORDER BY created DESC, rowid DESC", ())

    def _select(self, rest: str, values: tuple[object, ...]) -> list[Job]:
        columns = "id, name, state, pid, message, created, started, ended"
        with self._connect() as db:
            return [Job(*row) for row in db.execute(f"SELECT {columns} FROM jobs {rest}", values)]

    def claim(self) -> Job | None:
        """Take the oldest queued job, unless one is running: one statement, so never twice.

        Until its own process is known, the job belongs to this one.
        """
        with self._connect() as db:
            row = db.execute(
                "UPDATE jobs SET state = 'running', pid = ?, started = ?, ended = NULL, message = '' WHERE id = "
                "(SELECT id FROM jobs WHERE state = 'queued' AND NOT EXISTS "
                "(SELECT 1 FROM jobs WHERE state = 'running') ORDER BY created LIMIT 1) "
                "RETURNING id", (os.getpid(), time.time())).fetchone()
        return self.get(row[0]) if row else None

    def take(self, id: str, pid: int) -> bool:
        """Go on with an unfinished job in process `pid`, outside the queue; False if it is not one."""
        with self._connect() as db:
            cursor = db.execute(
                "UPDATE jobs SET state = 'running', pid = ?, started = ?, ended = NULL, message = '' "
                "WHERE id = ? AND state IN ('stopped', 'failed', 'interrupted')", (pid, time.time(), id))
            return cursor.rowcount == 1

    def seize(self, id: str, pid: int | None) -> bool:
        """Become the one who notes the end of a job that ran in `pid`: true for one caller only."""
        with self._connect() as db:
            cursor = db.execute("UPDATE jobs SET pid = NULL WHERE id = ? AND state = 'running' AND pid = ?",
                                (id, pid))
            return cursor.rowcount == 1

    def cancel(self, id: str) -> bool:
        """Take a job out of the queue; False if it is not waiting any more."""
        with self._connect() as db:
            cursor = db.execute("UPDATE jobs SET state = 'stopped', ended = ? WHERE id = ? AND "
                                "state = 'queued'", (time.time(), id))
            return cursor.rowcount == 1

    def set_pid(self, id: str, pid: int) -> None:
        """Remember the process of a running job."""
        with self._connect() as db:
            db.execute("UPDATE jobs SET pid = ? WHERE id = ?", (pid, id))

    def end(self, id: str, state: State, message: str = "") -> None:
        """Close a running job; one that is closed already keeps its state."""
        with self._connect() as db:
            db.execute("UPDATE jobs SET state = ?, message = ?, ended = ?, pid = NULL "
                       "WHERE id = ? AND state IN ('running', 'queued')",
                       (state, message, time.time(), id))

    def requeue(self, id: str) -> bool:
        """Queue a stopped, failed or interrupted job again."""
        try:
            with self._connect() as db:
                cursor = db.execute("UPDATE jobs SET state = 'queued', message = '' WHERE id = ? AND "
                                    "state IN ('stopped', 'failed', 'interrupted')", (id,))
                return cursor.rowcount == 1
        except sqlite3.IntegrityError as error:
            raise StudioError("Another training of that name is waiting or running; stop it first.") from error
