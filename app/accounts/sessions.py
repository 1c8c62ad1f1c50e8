"""Logging in: sessions of browsers and tokens of programs, kept as hashes, each with an end."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Literal

from adapters.errors import StudioError
from app.accounts.accounts import Account, Accounts
from app.accounts.database import Database
from app.accounts.passwords import fits

LASTS = 24 * 3600.0
"""Seconds that a browser stays logged in."""
WINDOW = 15 * 60.0
"""Seconds in which failed logins are counted."""
MOST_OF_NAME, MOST_OF_ADDRESS = 10, 50
"""Failed logins in that time; one household or office may share an address."""
LONGEST_TOKEN = 366


class TooMany(StudioError):
    """Too many failed logins: for a while, none is tried."""


@dataclass(frozen=True)
class Session:
    """Somebody who is logged in; `hash` is what the studio knows the secret by."""

    account: Account
    kind: Literal["browser", "token"]
    expires: float
    hash: str


class Sessions:
    """All of them, in the file of accounts."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self._db, self.accounts = database, accounts

    def log_in(self, name: str, password: str, address: str) -> str:
        """The secret of a new session. Raises StudioError for a wrong name or password, the same for both.

        Raises TooMany, without a look at the password, after too many failures of that name or from that address.
        """
        attempt = self._count(name, address)
        found = self.accounts.password_of(name)
        if not fits(password, found[1] if found else None) or found is None:
            raise StudioError("This name and password do not belong together; try again.")
        with self._db.connect() as db:
            db.executemany("DELETE FROM failures WHERE rowid = ?", [(row,) for row in attempt])
        return self._open(found[0], "browser", LASTS)

    def _count(self, name: str, address: str) -> list[int]:
        """Note a failure beforehand, so that many at once count as many; returns the rows, to be taken away."""
        now, noted = time.time(), []
        with self._db.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM failures WHERE at < ?", (now - WINDOW,))
            for what, most in ((f"name {_hash(name.lower())}", MOST_OF_NAME), (f"from {address}", MOST_OF_ADDRESS)):
                if db.execute("SELECT COUNT(*) FROM failures WHERE what = ?", (what,)).fetchone()[0] >= most:
                    raise TooMany(f"There were too many failed logins; wait {WINDOW / 60:.0f} minutes, then try again.")
                noted.append(int(db.execute("INSERT INTO failures VALUES (?, ?)", (what, now)).lastrowid or 0))
        return noted

    def token(self, name: str, days: float = 30) -> str:
        """A new secret for programs, which is said once and ends after `days`."""
        if not 0 < days <= LONGEST_TOKEN:
            raise StudioError(f"A token lasts up to {LONGEST_TOKEN} days, not {days:g}; choose fewer.")
        return self._open(self.accounts.get(name), "token", days * 86400)

    def _open(self, account: Account, kind: str, lasts: float) -> str:
        secret, now = secrets.token_urlsafe(32), time.time()
        with self._db.connect() as db:
            db.execute("DELETE FROM sessions WHERE expires < ?", (now,))
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                       (_hash(secret), account.id, kind, now, now + lasts))
        return secret

    def find(self, secret: str, kind: str) -> Session | None:
        """Whose secret it is, if it is one of that kind and has not ended."""
        return self.still(_hash(secret), kind)

    def still(self, hash: str, kind: str) -> Session | None:
        """The session of that hash, if it has not ended."""
        with self._db.connect() as db:
            row = db.execute("SELECT account, kind, expires, hash FROM sessions WHERE hash = ? AND kind = ? AND "
                             "expires > ?", (hash, kind, time.time())).fetchone()
        account = self.accounts.by_id(row[0]) if row else None
        return Session(account, *row[1:]) if account else None

    def end(self, hash: str) -> None:
        """Log out."""
        with self._db.connect() as db:
            db.execute("DELETE FROM sessions WHERE hash = ?", (hash,))

    def end_tokens(self, name: str) -> int:
        """End every token of an account; returns how many there were."""
        with self._db.connect() as db:
            return db.execute("DELETE FROM sessions WHERE account = ? AND kind = 'token'",
                              (self.accounts.get(name).id,)).rowcount


def _hash(secret: str) -> str:
    # Fast on purpose: the secret is 256 random bits, and every request asks.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
