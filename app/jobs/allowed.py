"""What a job may go on with and leave behind: a statement of consent can be revoked while it waits or works."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from app.concepts.consent import Consents
from app.errors import Revoked
from app.home import Home
from app.jobs.job_files import FILE

SETTINGS = ("config.json", "task.json")
_TOLD = (*SETTINGS, FILE, "events.jsonl", "worker.log")
"""What says what a job was, and holds nothing of the pictures."""


def consent_of(folder: Path) -> str:
    """The statement of consent that a job's settings name; '' when there is none."""
    for name in SETTINGS:
        with contextlib.suppress(OSError, ValueError):
            told = json.loads((folder / name).read_text("utf-8"))
            return str(told.get("consent", "")) if isinstance(told, dict) else ""
    return ""


@contextlib.contextmanager
def allowed(folder: Path) -> Iterator[None]:
    """Work of a job that learns from pictures. Raises Revoked, and leaves nothing of them in its folder, when the
    consent is revoked before the work or by its end."""
    consents, under = Consents(Home(folder.parent.parent).consents), consent_of(folder)
    with leaving_nothing(folder):
        consents.check(under)
        yield
        consents.check(under)


@contextlib.contextmanager
def leaving_nothing(folder: Path) -> Iterator[None]:
    """Where the consent is found revoked within, pictures and all that was learned are taken out of the folder."""
    try:
        yield
    except Revoked:
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in _TOLD:
                path.unlink(missing_ok=True)
        raise
