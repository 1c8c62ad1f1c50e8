"""The process of one job: `python -m app.jobs.worker FOLDER [KIND]`, a training when no kind is given.

A crash here frees its memory and ends only itself. The last line on stdout says what became of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from adapters.errors import StudioError
from adapters.files import write_text
from app.faults import LOGGED, SMALLER_BATCH, print_traceback, sentence_of
from app.home import Home
from app.jobs.allowed import allowed
from app.jobs.device import the_device
from app.jobs.lab_jobs import RESULT
from app.jobs.runs import DISK_FULL, EventLog, StopFile, WishFiles
from app.library.credentials import sign_all
from app.library.library import Library

_BEGAN = time.perf_counter()


class _StopOrOrphan(StopFile):
    """Stops on request, and when the studio that started this run is gone."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._parent = os.getppid()

    def stop_requested(self) -> bool:
        """Asked before every step."""
        return super().stop_requested() or os.getppid() != self._parent


def _train(folder: Path, log: EventLog) -> bool:
    from pipelines.training import train_run

    home = Home(folder.parent.parent)
    return train_run(folder, report=log, control=_StopOrOrphan(folder), taken=Library(home).triggers(),
                     cache=home.cache, asked=WishFiles(folder).take) is not None


def _preflight(folder: Path, log: EventLog) -> bool:
    threading.Thread(target=_end_when_asked, args=(_StopOrOrphan(folder), log), daemon=True).start()
    from pipelines.preflight import measure

    home = Home(folder.parent.parent)
    found = measure(folder, log, taken=Library(home).triggers(), cache=home.cache, began=_BEGAN)
    write_text(folder / RESULT, json.dumps(found.as_dict(), indent=1) + "\n")
    return True


def _in_the_lab(folder: Path, log: EventLog) -> bool:
    from app.jobs.lab_child import work

    threading.Thread(target=_end_when_asked, args=(_StopOrOrphan(folder), log), daemon=True).start()
    return work(folder, log)


def _end_when_asked(control: _StopOrOrphan, log: EventLog) -> None:
    """End this process and those it has started: what such work has done so far is on disk already."""
    while not control.stop_requested():
        time.sleep(0.3)
    log({"type": "outcome", "state": "stopped", "message": ""})
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


_WORK: dict[str, Callable[[Path, EventLog], bool]] = {
    "train": _train, "preflight": _preflight, "compare": _in_the_lab, "evaluate": _in_the_lab, "recommend": _in_the_lab}


def _in_turn(folder: Path, kind: str, log: EventLog) -> bool:
    """Do the work once the device is this process's alone; False when it was stopped, before that or in it."""
    def waiting() -> None:
        log({"type": "stage", "text": "Waiting for the device, which another process has"})

    stop = _StopOrOrphan(folder).stop_requested
    with the_device(folder.parent.parent, stop=stop, waiting=waiting) as held, allowed(folder):
        done = held and _WORK[kind](folder, log)
    if held:
        _sign(folder, log)
    return done


def _sign(folder: Path, log: EventLog) -> None:
    """Previews and what was compared may leave this machine as any picture may; the work counts without it too."""
    try:
        sign_all(folder, folder.parent.parent)
    except StudioError as error:
        log({"type": "warning", "text": str(error)})


def step_back() -> None:
    """Let all other work on this machine go first, so that the browser stays quick.

    A process in a session of its own, as the supervisor starts one, Linux weighs by the nice value of the session's
    autogroup, and its own counts only among those in it (sched(7)); so both are set.
    """
    if hasattr(os, "nice"):
        os.nice(19)
    if hasattr(os, "getsid") and os.getsid(0) == os.getpid():  # else others, who started it, would step back with it
        with contextlib.suppress(OSError):  # other systems and kernels have no such file
            Path("/proc/self/autogroup").write_text("19", "ascii")


def main() -> int:
    """Do or go on with the job in the folder given; exit code 0, also when it was stopped."""
    folder, kind = Path(sys.argv[1]), (sys.argv[2:] or ["train"])[0]
    step_back()
    log = EventLog(folder)
    try:
        log({"type": "stage", "text": "Starting"})
        outcome = {"state": "finished" if _in_turn(folder, kind, log) else "stopped", "message": ""}
    except StudioError as error:
        outcome = {"state": "failed", "message": str(error)}
    except Exception as error:  # noqa: BLE001 - the job's last word: a process that ends without one is called killed
        print_traceback()
        outcome = {"state": "failed", "message": sentence_of(error, "The job", SMALLER_BATCH, LOGGED)}
    with contextlib.suppress(StudioError):  # a full disk takes no events; the exit code still tells
        log({"type": "outcome", **outcome})
    try:
        print(json.dumps(outcome), flush=True)
    except OSError:  # a full disk takes no last line; Python would try again at exit and change the exit code
        sys.stdout = None  # type: ignore[assignment]
    if outcome["state"] != "failed":
        return 0
    return DISK_FULL if outcome["message"].startswith("The disk is full") else 2


if __name__ == "__main__":
    sys.exit(main())
