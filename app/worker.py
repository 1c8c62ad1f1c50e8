"""The process of one training run: `python -m app.worker RUN_FOLDER`.

A crash here frees its memory and ends only itself. The last line on stdout says what became of it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from adapters.errors import StudioError
from app.runs import EventLog, StopFile


def main() -> int:
    """Run or resume the training in the folder given; exit code 0, also when it was stopped."""
    folder = Path(sys.argv[1])
    if hasattr(os, "nice"):
        os.nice(5)  # the browser stays quick while this runs
    log = EventLog(folder)
    log({"type": "stage", "text": "Starting"})
    try:
        from pipelines.training import train_run

        path = train_run(folder, report=log, control=StopFile(folder))
        outcome = {"state": "finished" if path else "stopped", "message": ""}
    except StudioError as error:
        outcome = {"state": "failed", "message": str(error)}
    except MemoryError:
        outcome = {"state": "failed", "message": "The memory was not enough; choose a smaller batch "
                                                 "and resume."}
    log({"type": "outcome", **outcome})
    print(json.dumps(outcome), flush=True)
    return 0 if outcome["state"] != "failed" else 2


if __name__ == "__main__":
    sys.exit(main())
