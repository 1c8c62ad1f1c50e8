"""`doctor --repair`: the job list made anew from the files, and what a crash left behind cleared away."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from adapters.errors import StudioError
from adapters.files import move, sweep
from app.concepts.consent import Consents
from app.home import Home
from app.jobs.device import LOCK, FileLock
from app.jobs.job_files import FILE, JobFiles, KeptJob, read_kept
from app.jobs.runs import how_it_ended, read_events
from app.jobs.store import JobStore
from app.jobs.supervisor import Supervisor
from app.library.library import Library
from app.system import leftovers
from app.system.migrations import bring_up, database_files

_STALE = 3600  # seconds after which a temporary file is nobody's any more
_LOST = "The job list was lost while this waited; resume puts it back into the queue."


def data_folders(home: Home) -> list[Home]:
    """The data folder, and where several people share it each person's."""
    people = sorted(p for p in home.people.iterdir() if p.is_dir()) if home.people.is_dir() else []
    return [home, *map(Home, people)]


def repair_all(home: Home) -> list[str]:
    """`repair` for the data folder and each person's in it; what was done in a person's begins with its name."""
    return [sentence if one == home else f"people/{one.root.name}: {sentence}"
            for one in data_folders(home) for sentence in repair(one)]


def repair(home: Home) -> list[str]:
    """Make the job list anew from the files and say in sentences what was done; the old list is kept.

    Raises StudioError while a training runs on this folder.
    """
    lock = FileLock(home.root / LOCK)
    if not lock.take():
        raise StudioError("A training runs on this data folder; stop it or let it end, and end the studio, then "
                          "repair.")
    try:
        done = [_brought_up(home), _written_down(home), *_rebuilt(home), *_completed(home), *_swept(home)]
    finally:
        lock.release()
    return [sentence for sentence in done if sentence]


def damage(home: Home) -> str:
    """What is wrong with the job list, as a sentence; '' when it and the files say the same."""
    if not home.database.exists():
        lost = sum(1 for _ in _folders(home))
        return f"The job list is gone, and {lost} jobs are in the files; run 'doctor --repair'." if lost else ""
    try:
        listed = _listed(home)
    except sqlite3.Error as error:
        return f"The job list cannot be read ({error}); run 'doctor --repair'."
    lost = len([f for f in _folders(home) if (f / FILE).exists() and f.name not in listed])
    return f"{lost} jobs are in the files and not in the job list; run 'doctor --repair'." if lost else ""


def _listed(home: Home) -> set[str]:
    """Ids of all jobs of the list. Raises sqlite3.Error when it is damaged."""
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(home.database))}?mode=ro", uri=True, timeout=10)) as db:
        said = db.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            raise sqlite3.DatabaseError(said[:80])
        return {row[0] for row in db.execute("SELECT id FROM jobs")}


def _brought_up(home: Home) -> str:
    try:
        backup = bring_up(home)
    except StudioError:
        if not damage(home):
            raise
        return ""  # an old list that cannot be read: what it alone knew is lost, the rest is made of the files
    return f"The data folder was of an older format; what was changed is kept in '{backup}'." if backup else ""


def _written_down(home: Home) -> str:
    """What only the list knows goes into the files first."""
    try:
        rows = JobStore(home.database).rows() if home.database.exists() and _listed(home) else []
    except (StudioError, sqlite3.Error):
        return "The old job list could not be read; the jobs are made of their folders alone."
    files, count = JobFiles(home), 0
    for row in rows:
        folder = files.folder(row["id"])
        if folder and read_kept(folder) is None:
            files.job(row)
            count += 1
    return f"{count} jobs were only in the list; their folders now say the same." if count else ""


def _rebuilt(home: Home) -> list[str]:
    """A new list of all folders in the place of the old one, which is moved under `backups/`."""
    kept = sorted((_of_folder(f, home) for f in _folders(home)), key=lambda j: j.created)
    files, new = JobFiles(home), home.database.with_name("studio.db.new")
    new.unlink(missing_ok=True)
    try:
        paused = files.was_paused()
        note = ""
    except StudioError as error:
        paused, note = True, f"{error} Until then the queue is paused."
    JobStore(new).insert([j.model_dump() for j in kept], paused)
    with contextlib.closing(sqlite3.connect(new)) as db:  # all of it into the one file that is moved
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    backup = home.backups / f"list-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1000:03d}"
    moved = [p for p in database_files(home) if p.exists()]
    for path in moved:
        backup.mkdir(parents=True, exist_ok=True)
        move(path, backup / path.name)
    move(new, home.database)
    for job in kept:
        files.job(job.model_dump())
    store = JobStore(home.database, files)
    Supervisor(home, store, Library(home)).settle_dead()
    return [f"The job list has {len(kept)} jobs, made anew from their folders.", note,
            f"The old list is kept in '{backup}'." if moved else "There was no old list."]


def _folders(home: Home) -> list[Path]:
    return [f for place in (home.runs, home.trash / "runs") if place.is_dir() for f in sorted(place.iterdir())
            if f.is_dir() and any((f / name).exists() for name in (FILE, "config.json", "task.json"))]


def _of_folder(folder: Path, home: Home) -> KeptJob:
    """What a folder says of its job: its own words, else what can be told from its settings and events.

    One that was running is listed so, without a process: the supervisor settles it as after any crash.
    """
    kept, in_trash = read_kept(folder) or _guessed(folder), folder.parent != home.runs
    if in_trash and kept.deleted is None:
        return kept.model_copy(update={"deleted": folder.stat().st_mtime})
    if not in_trash and kept.deleted is not None:  # it was being brought back
        return kept.model_copy(update={"deleted": None})
    return kept


def _guessed(folder: Path) -> KeptJob:
    told: dict[str, Any] = {}
    for name in ("config.json", "task.json"):
        if (folder / name).is_file():
            found = _json(folder / name)
            told |= found if isinstance(found, dict) else {}
    events = read_events(folder)
    measured = _json(folder / "result.json")
    preflight = "kind" not in told and isinstance(measured, dict) and "step_seconds" in measured
    times = [float(e["time"]) for e in events if "time" in e]
    state, message = how_it_ended(folder) if events else ("stopped", _LOST)
    return KeptJob(
        id=folder.name, name=str(told.get("name") or folder.name.rsplit("-", 2)[0]),
        kind=told.get("kind", "preflight" if preflight else "train"), state=state,
        message=message, created=times[0] if times else folder.stat().st_mtime, started=times[0] if times else None,
        ended=times[-1] if times else None)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _completed(home: Home) -> list[str]:
    """Sidecars and cards of adapters that lost theirs."""
    library, made = Library(home), []
    for entry in library.entries():
        if not all(entry.path.with_suffix(e).exists() for e in (".json", ".md")):
            library.complete_missing(entry.path)
            made.append(entry.name)
    return [f"What lies beside {len(made)} adapters was made anew: {', '.join(made[:8])}."] if made else []


def _swept(home: Home) -> list[str]:
    """Temporary files of writes that were cut off, and what else was never finished."""
    count = sum(sweep(home.root / part, older=_STALE) for part in ("adapters", "runs", "images", "drafts", "trash"))
    with Consents(home.consents).held():
        left = leftovers.sweep(home)
    return [*([f"{count} temporary files of writes that were cut off were taken away."] if count else []),
            *([f"{left} temporary copies and folders of jobs that were never queued were taken away."] if left else [])]
