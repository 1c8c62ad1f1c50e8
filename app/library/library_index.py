"""The library in memory: what was read of each file is kept for as long as the file is the same."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from adapters.errors import StudioError
from app.library.library_entry import BESIDE, Entry, read_entry

Stamp = tuple[int, int, int]
"""Time of change in nanoseconds, bytes, inode: another for every file that was written anew."""
_ENDING = ".safetensors"


class Index:
    """Entries of one folder. Every question looks at all files' stamps, so no answer is out of date."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[Stamp | None, ...], Entry | None]] = {}

    def entries(self) -> list[Entry]:
        """Every readable adapter, newest first. Damaged files are left where they are."""
        with self._lock:
            # The stamps are taken before the files are read: what changes meanwhile is read again next time.
            stamps = self._stamps()
            now = {}
            for file in stamps:
                if file.endswith(_ENDING):
                    stem = file.removesuffix(_ENDING)
                    marks = tuple(stamps.get(stem + ending) for ending in (_ENDING, *BESIDE))
                    known = self._known.get(stem)
                    now[stem] = known if known and known[0] == marks else (marks, self._read(file))
            self._known = now
        found = [entry for _, entry in now.values() if entry]
        return sorted(found, key=lambda e: (-e.changed, e.name))

    def _stamps(self) -> dict[str, Stamp]:
        found: dict[str, Stamp] = {}
        if not self.folder.is_dir():
            return found
        with os.scandir(self.folder) as files:
            for file in files:
                if file.name.endswith((_ENDING, *BESIDE)) and not file.name.startswith("."):
                    with contextlib.suppress(FileNotFoundError):
                        s = file.stat()
                        found[file.name] = (s.st_mtime_ns, s.st_size, s.st_ino)
        return found

    def _read(self, file: str) -> Entry | None:
        with contextlib.suppress(StudioError, OSError):
            return read_entry(self.folder / file)
        return None
