"""The process of one training run: `python -m app.worker RUN_FOLDER`.

A crash here frees its memory and ends only itself. The last line on stdout says what became of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

from adapters.errors import StudioError
from app.home import Home
from app.library import Library
from app.runs import DISK_FULL, EventLog, StopFile


class _StopOrOrphan(StopFile):
    """Stops on request, and when the studio that started this run is gone."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._parent = os.getppid()

    def stop_requested(self) -> bool:
        """Asked before every step."""
        return super().stop_requested() or os.getppid() != self._parent


def main() -> int:
    """Run or resume the training in the folder given; exit code 0, also when it was stopped."""
    folder = Path(sys.argv[1])
    if hasattr(os, "nice"):
        os.nice(5)  # the browser stays quick while this runs
    log = EventLog(folder)
    try:
        log({"type": "stage", "text": "Starting"})
        from pipelines.training import train_run

        taken = Library(Home(folder.parent.parent)).triggers()
        path = train_run(folder, report=log, control=_StopOrOrphan(folder), taken=taken,
                         cache=Home(folder.parent.parent).cache)
        outcome = {"state": "finished" if path else "stopped", "message": ""}
    except StudioError as error:
        outcome = {"state": "failed", "message": str(error)}
    except RuntimeError as error:  # what torch raises, out of memory among it
        first = str(error).strip().splitlines()[0][:160] if str(error).strip() else "no reason given"
        outcome = {"state": "failed", "message": f"The training failed ({first}); if memory ran out, choose a "
                                                 "smaller batch, then resume."}
    except MemoryError:
        outcome = {"state": "failed", "message": "The memory was not enough; choose a smaller batch "
                                                 "and resume."}
    with contextlib.suppress(StudioError):  # a full disk takes no events; the exit code still tells
        log({"type": "outcome", **outcome})
    with contextlib.suppress(OSError):
        print(json.dumps(outcome), flush=True)
    if outcome["state"] != "failed":
        return 0
    return DISK_FULL if outcome["message"].startswith("The disk is full") else 2


if __name__ == "__main__":
    sys.exit(main())
