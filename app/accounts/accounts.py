"""The accounts: made and changed by command, never over HTTP except for their quotas."""

from __future__ import annotations

import secrets
import sqlite3
import time
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from adapters.errors import StudioError
from adapters.naming import check_name
from app.accounts.database import Database
from app.accounts.passwords import hashed
from app.errors import Missing
from app.system.preferences import Preferences

Role = Literal["admin", "user"]
_COLUMNS = "id, name, role, disk_gb, queue, created"


@dataclass(frozen=True)
class Account:
    """One person. `disk_gb` and `queue` are this person's own quotas, None where the studio's count."""

    id: str
    """Of the folder below `people/`; never given again, so nobody inherits by having somebody's name."""
    name: str
    role: Role
    disk_gb: float | None
    queue: int | None
    created: float


class Accounts:
    """All of them, in one file."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def all(self) -> list[Account]:
        """By name."""
        return self._select("ORDER BY lower(name)")

    def any(self) -> bool:
        """Whether there is one."""
        with self._db.connect() as db:
            return db.execute("SELECT 1 FROM accounts LIMIT 1").fetchone() is not None

    def get(self, name: str) -> Account:
        """The account of that name, in any case. Raises Missing when nobody has it."""
        found = self._select("WHERE lower(name) = lower(?)", name)
        if not found:
            raise Missing(f"There is no account '{name[:60]}'; 'python -m app user list' has all of them.")
        return found[0]

    def by_id(self, id: str) -> Account | None:
        """The account with that id."""
        return next(iter(self._select("WHERE id = ?", id)), None)

    def password_of(self, name: str) -> tuple[Account, str] | None:
        """An account and the hash of its password."""
        found = self._select("WHERE lower(name) = lower(?)", name)
        if not found:
            return None
        with self._db.connect() as db:
            row = db.execute("SELECT password FROM accounts WHERE id = ?", (found[0].id,)).fetchone()
        return (found[0], row[0]) if row else None

    def _select(self, rest: str, *values: object) -> list[Account]:
        with self._db.connect() as db:
            return [Account(*row) for row in db.execute(f"SELECT {_COLUMNS} FROM accounts {rest}", values)]

    def add(self, name: str, password: str, role: str = "user") -> Account:
        """Make an account. Raises StudioError when the name is taken or the password too short."""
        if role not in get_args(Role):
            raise StudioError(f"'{role[:20]}' is no role; choose {' or '.join(get_args(Role))}.")
        made = Account(secrets.token_hex(8), check_name(name), cast(Role, role), None, None, time.time())
        kept = hashed(password)
        try:
            with self._db.connect() as db:
                db.execute("INSERT INTO accounts (id, name, role, password, created) VALUES (?, ?, ?, ?, ?)",
                           (made.id, made.name, made.role, kept, made.created))
        except sqlite3.IntegrityError as error:
            raise StudioError(f"There is an account '{made.name}' already; choose another name.") from error
        return made

    def set_password(self, name: str, password: str) -> Account:
        """Give an account another password; its sessions and tokens end."""
        account, kept = self.get(name), hashed(password)
        with self._db.connect() as db:
            db.execute("UPDATE accounts SET password = ? WHERE id = ?", (kept, account.id))
            db.execute("DELETE FROM sessions WHERE account = ?", (account.id,))
        return account

    def set_quota(self, name: str, disk_gb: float | None = None, queue: int | None = None) -> Account:
        """Give an account quotas of its own; None leaves one as it is."""
        account = self.get(name)
        if disk_gb is not None and not 0 <= disk_gb <= 1e6:
            raise StudioError(f"A quota of disk is from 0 to 1,000,000 GB, not {disk_gb:g}; choose another.")
        if queue is not None and not 0 <= queue <= 100_000:
            raise StudioError(f"A quota of the queue is from 0 to 100,000 jobs, not {queue}; choose another.")
        changed = replace(account, disk_gb=account.disk_gb if disk_gb is None else disk_gb,
                          queue=account.queue if queue is None else queue)
        with self._db.connect() as db:
            db.execute("UPDATE accounts SET disk_gb = ?, queue = ? WHERE id = ?",
                       (changed.disk_gb, changed.queue, account.id))
        return changed

    def remove(self, name: str) -> Account:
        """Take an account away with its sessions, tokens and shares; its folder stays where it is."""
        account = self.get(name)
        with self._db.connect() as db:
            db.execute("DELETE FROM accounts WHERE id = ?", (account.id,))
            db.execute("DELETE FROM sessions WHERE account = ?", (account.id,))
            db.execute("DELETE FROM shares WHERE owner = ? OR reader = ?", (account.id, account.id))
        return account


def quotas(account: Account, preferences: Preferences) -> tuple[float, int]:
    """GB of disk and jobs at a time that an account may have."""
    return (preferences.quota_disk_gb if account.disk_gb is None else account.disk_gb,
            preferences.quota_queue if account.queue is None else account.queue)
