"""Work of the command line that the browser follows like a job of the queue: its row, and the events in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.faults import SMALLER_BATCH, sentence_of
from app.jobs.allowed import allowed
from app.jobs.job import State
from app.jobs.runs import EventLog
from app.studio import Studio


@contextmanager
def as_job(studio: Studio, folder: Path, say: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """Gives what tells each stage to `say` and to the events of the job in `folder`; its row ends as the work does."""
    log = EventLog(folder)
    log({"type": "stage", "text": "Starting"})

    def tell(text: str) -> None:
        say(text)
        log({"type": "stage", "text": text.capitalize()})

    try:
        with allowed(folder):
            yield tell
    except KeyboardInterrupt:
        _end(studio, folder, log, "stopped", "")
        raise
    except BaseException as error:
        _end(studio, folder, log, "failed", sentence_of(error, "The job", SMALLER_BATCH))
        raise
    _end(studio, folder, log, "finished", "")


def _end(studio: Studio, folder: Path, log: EventLog, state: State, message: str) -> None:
    log({"type": "outcome", "state": state, "message": message})
    studio.store.end(folder.name, state, message)
