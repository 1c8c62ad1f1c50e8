"""Everybody's studio: a data folder of their own below `people/`, one machine for all."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any

from app.accounts.accounts import Account, Accounts, quotas
from app.accounts.database import Database
from app.accounts.quota import DiskMeter
from app.accounts.sessions import Sessions
from app.accounts.sharing import LentTo, Shares
from app.common import Common, Part
from app.errors import Missing
from app.home import Home
from app.jobs.job import ACTIVE
from app.jobs.job_files import JobFiles
from app.jobs.runs import StopFile
from app.jobs.store import JobStore
from app.studio import Studio
from app.system.preferences import Preferences


class Register:
    """Accounts, sessions and shares of a data folder."""

    def __init__(self, home: Home) -> None:
        self.home = home
        database = Database(home.accounts)
        self.accounts = Accounts(database)
        self.sessions = Sessions(database, self.accounts)
        self.shares = Shares(database, self.accounts, self.home_of)

    def home_of(self, id: str) -> Home:
        """An account's data folder; it need not be there yet."""
        return Home(self.home.people / id)

    def quotas(self, id: str) -> tuple[float, int]:
        """GB of disk and jobs at a time that an account may have now. Raises Missing when it was removed."""
        account = self.accounts.by_id(id)
        if account is None:
            raise Missing("This account was removed; ask an admin.")
        return quotas(account, Preferences.load(self.home.preferences))

    def remove(self, name: str) -> Account:
        """Take an account away, with what it has in the queue; its folder stays."""
        account = self.accounts.remove(name)
        home = self.home_of(account.id)
        if home.database.is_file():
            store = JobStore(home.database, JobFiles(home))
            for job in store.all():
                if job.state in ACTIVE and not store.cancel(job.id):
                    StopFile(home.runs / job.id).request()
        return account


@dataclass(frozen=True)
class Person:
    """One account's studio and the disk that it takes."""

    id: str
    studio: Studio
    meter: DiskMeter
    lent: LentTo


class People:
    """The persons of a running server; each comes into being when first asked for."""

    def __init__(self, home: Home, *, offline: bool = False) -> None:
        self.home, self._offline = home, offline
        self.register = Register(home)
        self.common = Common.of(home)
        self._persons: dict[str, Person] = {}
        self._lock = threading.Lock()
        self._running = False
        home.people.mkdir(exist_ok=True)
        os.chmod(home.people, 0o700)

    def person(self, account: Account) -> Person:
        """That account's."""
        with self._lock:
            if account.id not in self._persons:
                self._persons[account.id] = self._made(account.id)
            return self._persons[account.id]

    def _made(self, id: str) -> Person:
        register, home = self.register, Home.open(str(self.register.home_of(id).root))
        lent = register.shares.lent_to(id)
        meter = DiskMeter(home, lambda: register.quotas(id)[0])
        part = Part(self.common, lambda: register.quotas(id)[1], lent, meter.admit,
                    lambda adapter: register.shares.forget(id, adapter))
        made = Person(id, Studio(home, offline=self._offline, part=part), meter, lent)
        if self._running:
            made.studio.supervisor.start()
        return made

    def start(self) -> None:
        """Begin to run what waits: those who have something in the queue need not log in first."""
        for account in self.register.accounts.all():
            if self.register.home_of(account.id).database.is_file():
                self.person(account)
        with self._lock:
            self._running, persons = True, list(self._persons.values())
        for person in persons:
            person.studio.supervisor.start()

    def told(self, account: Account) -> dict[str, Any]:
        """An account for pages and programs, with what it has and may have."""
        person = self.person(account)
        disk_gb, queue = self.register.quotas(account.id)
        active = sum(j.state in ACTIVE for j in person.studio.jobs())
        return {"name": account.name, "role": account.role, "created": account.created,
                "disk": {"used": person.meter.used(), "quota": int(disk_gb * 1e9)},
                "queue": {"used": active, "quota": queue}}

    def close(self) -> None:
        """Stop what runs, keeping checkpoints, and end the children."""
        persons = list(self._persons.values())
        for person in persons:
            person.studio.supervisor.retire()  # all before any: nobody's next job begins because somebody's ended
        for person in persons:
            person.studio.close()
        self.common.close()
