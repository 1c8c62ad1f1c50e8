"""Data folders of earlier versions, brought to today's layout step by step, with a copy of what is changed.

`format` in the data folder has the layout's number; a folder without it is of the first two.

1. The first layout: a run's `config.json` may have `taken_triggers`, which settings no longer know. The job list is
   the only place that has a job's name, order and end.
2. The rooms: drafts, consents, a trash for jobs. Settings as today's.
3. `job.json` in each job's folder says what the list says of it, and `queue.json` whether the queue is paused, so that
   the files alone are the truth.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import StudioError
from adapters.files import write_atomic, write_text
from app.home import Home
from app.jobs.job_files import FILE, JobFiles
from app.jobs.store import JobStore

FORMAT = 3
_FIRST_SETTINGS = ("taken_triggers",)


@dataclass(frozen=True)
class Step:
    """From one format to the next: which files it changes, and how. Done again after a crash, it ends in the same."""

    touches: Callable[[Home], Iterator[Path]]
    change: Callable[[Home], None]


def read_format(home: Home) -> int:
    """The number of a data folder's layout; of an empty folder today's. Raises StudioError when it is no number."""
    if not home.format.exists():
        return 1 if home.database.exists() or any(home.runs.iterdir()) else FORMAT
    try:
        return int(home.format.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StudioError(f"'{home.format}' should hold the number of the data folder's format and does not; write "
                          f"{FORMAT} into it if this studio made the folder.") from error


def bring_up(home: Home) -> Path | None:
    """Bring a data folder to FORMAT; where the copy of what was changed lies, None where there was nothing to change.

    Raises StudioError for a folder of a newer studio, and when a step cannot be done; each step is noted once it is.
    """
    found = read_format(home)
    if found > FORMAT:
        raise StudioError(f"The data folder '{home.root}' has format {found}, this studio reads up to {FORMAT}; update "
                          "the studio, or give another folder with --home.")
    if found < 1:
        raise StudioError(f"'{home.format}' says format {found}, and the first is 1; write the right number into it.")
    if found == FORMAT:
        if not home.format.exists():
            write_text(home.format, f"{FORMAT}\n")
        return None
    backup = home.backups / f"format-{found}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in range(found, FORMAT):
        step = STEPS[number]
        try:
            for path in step.touches(home):
                keep(path, home, backup)
            step.change(home)
        except (OSError, sqlite3.Error) as error:
            raise StudioError(f"The data folder could not be brought from format {number} to {number + 1} ({error}); "
                              f"nothing is lost, what was changed is in '{backup}' as it was.") from error
        write_text(home.format, f"{number + 1}\n")
    return backup


def keep(path: Path, home: Home, backup: Path) -> None:
    """Copy a file of the data folder into a backup, at the same place; what is there already is older and stays."""
    target = backup / path.relative_to(home.root)
    if path.is_file() and not target.exists():
        write_atomic(target, lambda p: shutil.copyfile(path, p))
        shutil.copystat(path, target)


def database_files(home: Home) -> Iterator[Path]:
    """The job list with what SQLite keeps beside it."""
    for ending in ("", "-wal", "-shm"):
        yield home.database.with_name(home.database.name + ending)


def _first_settings(home: Home) -> Iterator[Path]:
    for place in (home.runs, home.trash / "runs"):
        for file in place.glob("*/config.json"):
            told = _table(file)
            if any(name in told for name in _FIRST_SETTINGS):
                yield file


def _drop_first_settings(home: Home) -> None:
    for file in list(_first_settings(home)):
        told = {name: value for name, value in _table(file).items() if name not in _FIRST_SETTINGS}
        write_text(file, json.dumps(told, indent=1))


def _table(path: Path) -> dict[str, object]:
    """A JSON table; empty for what is none, which is left as it is: `doctor` and the run itself say so."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_jobs_down(home: Home) -> None:
    """`job.json` for every job of the list; a file that is there is newer, from before a crash in this step."""
    if not home.database.exists():
        return
    files, store = JobFiles(home), JobStore(home.database)
    for row in store.rows():
        folder = files.folder(row["id"])
        if folder and not (folder / FILE).exists():
            files.job(row)
    files.paused(store.paused)


STEPS = {1: Step(_first_settings, _drop_first_settings), 2: Step(database_files, _write_jobs_down)}
