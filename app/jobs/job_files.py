"""What the job list says of a job, kept in the job's own folder too, as `job.json`. The files are the truth.

The list (SQLite) is what questions are asked of, and what keeps two from taking one job. These files are what it is
made anew from when it is gone or damaged (`app/system/repair.py`): whose turn it is, what waits, how each ended.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.errors import StudioError
from adapters.files import write_text
from app.home import Home
from app.jobs.job import Kind, State

FILE, QUEUE = "job.json", "queue.json"


class KeptJob(BaseModel):
    """One job as its file has it; everything of its row but the process, which no file outlives."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    name: str
    kind: Kind = "train"
    state: State
    message: str = ""
    created: float
    started: float | None = None
    ended: float | None = None
    place: int = 0
    not_before: float | None = None
    deleted: float | None = None
    asked: str | None = None


class JobFiles:
    """The files of one data folder. The store calls `job` and `paused` before it commits what they say."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def folder(self, id: str) -> Path | None:
        """Where a job's folder is: among the runs, or in the trash; None when it is gone."""
        return next((f for f in (self.home.runs / id, self.home.trash / "runs" / id) if f.is_dir()), None)

    def job(self, row: dict[str, Any]) -> None:
        """Keep a row. A job whose folder is gone has nothing that could be listed again."""
        if folder := self.folder(row["id"]):
            write_text(folder / FILE, KeptJob.model_validate(row).model_dump_json(indent=1) + "\n")

    def paused(self, paused: bool) -> None:
        """Keep whether the queue starts nothing new."""
        write_text(self.home.root / QUEUE, json.dumps({"paused": paused}) + "\n")

    def was_paused(self) -> bool:
        """Whether it did when this was kept last. Raises StudioError when the file is damaged."""
        path = self.home.root / QUEUE
        if not path.exists():
            return False
        try:
            return bool(json.loads(path.read_text("utf-8"))["paused"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StudioError(f"'{path}' should say whether the queue is paused and cannot be read; take it "
                              "away.") from error


def read_kept(folder: Path) -> KeptJob | None:
    """What a job's folder says of it; None when it says nothing that can be read."""
    try:
        kept = KeptJob.model_validate_json((folder / FILE).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None
    return kept if kept.id == folder.name else None
