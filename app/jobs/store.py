"""Jobs in SQLite: what was asked for, and what became of it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

from adapters.errors import StudioError
from app.database import migrate, transaction
from app.errors import QueueQuota
from app.jobs.job import Job, Kind, State
from app.jobs.order import Turn, moved

_MIGRATIONS = (
    """CREATE TABLE jobs (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, pid INTEGER,
        message TEXT NOT NULL DEFAULT '', created REAL NOT NULL, started REAL, ended REAL)""",
    """CREATE UNIQUE INDEX one_active_name ON jobs (lower(name))
        WHERE state IN ('queued', 'running')""",
    "ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'train'",
    "ALTER TABLE jobs ADD COLUMN place INTEGER NOT NULL DEFAULT 0",
    "UPDATE jobs SET place = rowid",
    "ALTER TABLE jobs ADD COLUMN not_before REAL",
    "ALTER TABLE jobs ADD COLUMN deleted REAL",
    "CREATE TABLE flags (name TEXT PRIMARY KEY)",
    "DROP INDEX one_active_name",
    """CREATE UNIQUE INDEX one_training_of_a_name ON jobs (lower(name))
        WHERE state IN ('queued', 'running') AND kind = 'train'""",
    "ALTER TABLE jobs ADD COLUMN asked TEXT",
    "CREATE UNIQUE INDEX asked_once ON jobs (asked) WHERE asked IS NOT NULL",
)
_NEXT = """SELECT id FROM jobs WHERE state = 'queued' AND (not_before IS NULL OR not_before <= ?)
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running')
    AND NOT EXISTS (SELECT 1 FROM flags WHERE name = 'paused') ORDER BY place LIMIT 1"""
COLUMNS = (*(f.name for f in fields(Job) if f.name != "pid"), "deleted", "asked")
"""All of a row but the process."""


class Kept(Protocol):
    """What is kept beside the list, so that it can be made anew (`job_files.py`)."""

    def job(self, row: dict[str, Any]) -> None:
        """Keep a row; StudioError when that is not possible, and the list stays as it was."""
        ...

    def paused(self, paused: bool) -> None:
        """Keep whether the queue starts nothing new."""
        ...


class JobStore:
    """The jobs table. Every call opens its own connection, so any process may use it."""

    def __init__(self, path: Path, kept: Kept | None = None, most: Callable[[], int] | None = None) -> None:
        """`most` says how many may wait and run at a time; without it there is no limit."""
        self.path, self._kept, self._most = path, kept, most
        self._mine = threading.RLock()  # threads of one process queue here: SQLite's own waiting is not fair to many
        with self._connect() as db:
            migrate(db, _MIGRATIONS)

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._mine, transaction(self.path) as db:
                yield db
        except sqlite3.IntegrityError:
            raise  # a name or a question that is there already, which the caller explains
        except sqlite3.OperationalError as error:
            raise StudioError(f"The job list '{self.path}' cannot be used ({error}); check that the disk is "
                              "not full and the folder can be written.") from error
        except sqlite3.DatabaseError as error:
            raise StudioError(f"The job list '{self.path}' is damaged ({error}); make it anew from the files with "
                              "'python -m app doctor --repair'.") from error

    def _keep(self, db: sqlite3.Connection, *ids: str) -> None:
        """Write down beside the list what its rows are about to say: a crash in between leaves the file ahead."""
        if self._kept is None:
            return
        for id in ids:
            for row in db.execute(f"SELECT {', '.join(COLUMNS)} FROM jobs WHERE id = ?", (id,)):
                self._kept.job(dict(zip(COLUMNS, row, strict=True)))

    def insert(self, rows: Sequence[dict[str, Any]], paused: bool) -> None:
        """Fill an empty list with rows (of COLUMNS), as the files have them."""
        with self._connect() as db:
            db.executemany(f"INSERT INTO jobs ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})",
                           [[row[c] for c in COLUMNS] for row in rows])
            if paused:
                db.execute("INSERT INTO flags VALUES ('paused')")

    def rows(self) -> list[dict[str, Any]]:
        """Every row, what was deleted too, with COLUMNS by name."""
        with self._connect() as db:
            found = db.execute(f"SELECT {', '.join(COLUMNS)} FROM jobs").fetchall()
        return [dict(zip(COLUMNS, row, strict=True)) for row in found]

    def add(self, id: str, name: str, *, running_in: int | None = None, kind: Kind = "train",
            first: bool = False, asked: str = "") -> str:
        """Queue a job behind (or with `first` before) all others, or note one that runs in process `running_in`.

        Returns its id, or that of the job that was queued for the same question `asked` (a key that the client
        chose, so that what it sends twice is done once). Raises StudioError when a waiting or running training has
        the name, QueueQuota when as many wait as may.
        """
        now = time.time()
        place = "SELECT COALESCE(MIN(place), 0) - 1 FROM jobs" if first else (
            "SELECT COALESCE(MAX(place), 0) + 1 FROM jobs")
        try:
            with self._connect() as db:
                if before := self._room(db, asked):
                    return before
                db.execute(
                    "INSERT INTO jobs (id, name, kind, state, pid, created, started, asked, place) "
                    f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ({place}))",
                    (id, name, kind, "running" if running_in else "queued", running_in, now,
                     now if running_in else None, asked or None))
                self._keep(db, id)
                return id
        except sqlite3.IntegrityError as error:
            if before := self.asked(asked):
                return before
            raise StudioError(f"A training named '{name}' is waiting or running already; choose another "
                              "name or stop that one first.") from error

    def _room(self, db: sqlite3.Connection, asked: str = "") -> str | None:
        """The job of the question `asked`; else None, when one more may be queued. Raises QueueQuota."""
        if self._most is None:
            return None
        most = self._most()
        db.execute("BEGIN IMMEDIATE")  # counted and queued in one, however many ask at once
        if row := db.execute("SELECT id FROM jobs WHERE asked = ?", (asked or None,)).fetchone():
            return str(row[0])
        active = db.execute("SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'running')").fetchone()[0]
        if active >= most:
            raise QueueQuota(f"Your queue holds {most} jobs and has {active}; wait for one to end or take one out, "
                             "then send this again.")
        return None

    def asked(self, key: str) -> str | None:
        """The id of the job that was queued for the question `key`; None when there is none."""
        with self._connect() as db:
            row = db.execute("SELECT id FROM jobs WHERE asked = ?", (key or None,)).fetchone()
        return row[0] if row else None

    def get(self, id: str) -> Job | None:
        """One job, or None; one that was deleted is none."""
        found = self._select("WHERE id = ? AND deleted IS NULL", (id,))
        return found[0] if found else None

    def all(self) -> list[Job]:
        """Every job, newest first."""
        return self._select("WHERE deleted IS NULL ORDER BY created DESC, rowid DESC", ())

    def waiting(self) -> list[Job]:
        """The queue, the next one first."""
        return self._select("WHERE state = 'queued' ORDER BY place", ())

    def _select(self, rest: str, values: tuple[object, ...]) -> list[Job]:
        columns = ", ".join(f.name for f in fields(Job))
        with self._connect() as db:
            return [Job(*row) for row in db.execute(f"SELECT {columns} FROM jobs {rest}", values)]

    def claim(self) -> Job | None:
        """Take the next queued job, unless one is running or the queue is paused: one statement, so never twice.

        Until its own process is known, the job belongs to this one.
        """
        now = time.time()
        with self._connect() as db:
            row = db.execute(
                "UPDATE jobs SET state = 'running', pid = ?, started = ?, ended = NULL, message = '', "
                f"not_before = NULL WHERE id = ({_NEXT}) RETURNING id", (os.getpid(), now, now)).fetchone()
            self._keep(db, *(row or ()))
        return self.get(row[0]) if row else None

    def due(self) -> bool:
        """Whether `claim` would take one now."""
        with self._connect() as db:
            return db.execute(_NEXT, (time.time(),)).fetchone() is not None

    def take(self, id: str, pid: int) -> bool:
        """Go on with an unfinished job in process `pid`, outside the queue; False if it is not one."""
        with self._connect() as db:
            cursor = db.execute(
                "UPDATE jobs SET state = 'running', pid = ?, started = ?, ended = NULL, message = '' "
                "WHERE id = ? AND state IN ('stopped', 'failed', 'interrupted') AND deleted IS NULL",
                (pid, time.time(), id))
            self._keep(db, id)
            return cursor.rowcount == 1

    def seize(self, id: str, pid: int | None) -> bool:
        """Become the one who notes the end of a job that ran in `pid`: true for one caller only.

        Until that is done the job is this process's, so that another settles it should this one die before.
        """
        with self._connect() as db:
            cursor = db.execute("UPDATE jobs SET pid = ? WHERE id = ? AND state = 'running' AND pid IS ?",
                                (os.getpid(), id, pid))
            return cursor.rowcount == 1

    def cancel(self, id: str) -> bool:
        """Take a job out of the queue; False if it is not waiting any more."""
        with self._connect() as db:
            cursor = db.execute("UPDATE jobs SET state = 'stopped', ended = ? WHERE id = ? AND "
                                "state = 'queued'", (time.time(), id))
            self._keep(db, id)
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
            self._keep(db, id)

    def requeue(self, id: str) -> bool:
        """Queue a stopped, failed or interrupted job again, behind all others."""
        try:
            with self._connect() as db:
                self._room(db)
                cursor = db.execute(
                    "UPDATE jobs SET state = 'queued', message = '', not_before = NULL, "
                    "place = (SELECT MAX(place) + 1 FROM jobs) WHERE id = ? AND "
                    "state IN ('stopped', 'failed', 'interrupted') AND deleted IS NULL", (id,))
                self._keep(db, id)
                return cursor.rowcount == 1
        except sqlite3.IntegrityError as error:
            raise StudioError("Another training of that name is waiting or running; stop it first.") from error

    def move(self, id: str, where: Turn) -> bool:
        """Change a waiting job's turn by one or to an end; False if it is not waiting any more."""
        with self._connect() as db:
            db.execute("BEGIN IMMEDIATE")
            rows = db.execute("SELECT id, place FROM jobs WHERE state = 'queued' ORDER BY place").fetchall()
            waiting = [row[0] for row in rows]
            if id not in waiting:
                return False
            order = moved(waiting, id, where)
            db.executemany("UPDATE jobs SET place = ? WHERE id = ?",
                           [(row[1], job) for row, job in zip(rows, order, strict=True)])
            self._keep(db, *order)
        return True

    def postpone(self, id: str, until: float | None) -> bool:
        """Let a waiting job start no earlier than `until` (seconds since 1970; None: when it is its turn)."""
        with self._connect() as db:
            cursor = db.execute("UPDATE jobs SET not_before = ? WHERE id = ? AND state = 'queued'", (until, id))
            self._keep(db, id)
            return cursor.rowcount == 1

    def deleted(self) -> list[Job]:
        """What was deleted and can be shown again, the last first."""
        return self._select("WHERE deleted IS NOT NULL ORDER BY deleted DESC", ())

    @property
    def paused(self) -> bool:
        """Whether nothing new is started."""
        with self._connect() as db:
            return db.execute("SELECT 1 FROM flags WHERE name = 'paused'").fetchone() is not None

    def pause(self, paused: bool) -> None:
        """Start nothing new, or go on; what runs is left alone."""
        with self._connect() as db:
            db.execute("INSERT OR IGNORE INTO flags VALUES ('paused')" if paused else
                       "DELETE FROM flags WHERE name = 'paused'")
            if self._kept:
                self._kept.paused(paused)

    def delete(self, id: str, deleted: bool = True) -> bool:
        """Hide a job that is neither waiting nor running, or show it again; False if there is none to change."""
        with self._connect() as db:
            cursor = db.execute(
                "UPDATE jobs SET deleted = ? WHERE id = ? AND (deleted IS NULL) = ? AND "
                "state NOT IN ('queued', 'running')", (time.time() if deleted else None, id, deleted))
            self._keep(db, id)
            return cursor.rowcount == 1

    def forget(self, id: str) -> None:
        """Drop the row of an ended job whose folder is gone for good."""
        with self._connect() as db:
            db.execute("DELETE FROM jobs WHERE id = ? AND state NOT IN ('queued', 'running')", (id,))
