"""What the studios of several people on one machine have in common, and what each may see of the others'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.concepts.looker import LookerProcess
from app.home import Home
from app.jobs.shared_device import Device
from app.library.library_entry import Entry
from app.painting.painter import PainterProcess
from app.system.bases import Bases
from app.system.downloads import Downloads


class Lent(Protocol):
    """The adapters of others that one person may paint with; each is called NAME@OWNER."""

    def file(self, name: str) -> Path:
        """Where one is; raises Missing when it is not lent."""

    def entries(self) -> Sequence[tuple[str, Entry]]:
        """All of them, by what they are called."""


@dataclass(frozen=True)
class Common:
    """One painting process, one looking process, one device and one list of bases for all."""

    painter: PainterProcess
    looker: LookerProcess
    device: Device
    bases: Bases
    downloads: Downloads

    @classmethod
    def of(cls, home: Home) -> Common:
        """On the data folder that has everybody's."""
        bases = Bases(home)
        return cls(PainterProcess(), LookerProcess(), Device(home.device_lock), bases, Downloads(bases))

    def close(self) -> None:
        """End the children."""
        self.downloads.close()
        self.painter.close()
        self.looker.close()


@dataclass(frozen=True)
class Part:
    """One person's part in it."""

    common: Common
    most_jobs: Callable[[], int]
    """How many jobs may wait and run at a time."""
    lent: Lent
    room: Callable[[int], AbstractContextManager[None]]
    """Takes so many bytes of the person's share of the disk; raises DiskQuota where they are too many."""
    unshare: Callable[[str], int]
    """Takes an adapter back from all that this person shares it with; with how many it was."""
