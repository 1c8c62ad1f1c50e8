"""Real processes for the faults: trainings and studios that can be killed, started in a moment.

One process imports torch and what trains, once; each child is a fork of it and then does what
`python -m app.jobs.worker` or the studio's supervisor does. With `SEMBLANCE_FAULTS=full` the restarted studios start
their workers as they always do.
"""

from __future__ import annotations

import contextlib
import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from adapters import files
from app.home import Home
from app.jobs import supervisor as supervisor_module
from app.jobs import worker
from app.jobs.runs import EVENTS, read_events
from app.studio import Studio
from pipelines.shipped import SAMPLES

PATIENCE = 240.0  # seconds for anything to happen on a busy machine


def context() -> ForkServerContext:
    """Where children are forked from."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tests.faults.preloaded"])
    return found


def work(folder: Path, kind: str = "train", fault: str = "") -> None:
    """What a worker's process does; its output goes where the supervisor sends it."""
    with (folder / "worker.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    _break(fault)
    sys.argv = ["worker", str(folder), kind]
    os._exit(worker.main())


def _break(fault: str) -> None:
    """Let torch's own allocator refuse in the third step: of more than one picture, or 'always'.

    With a path, let writes be refused as on a full disk while that file is there.
    """
    import torch

    from pipelines.trainer import Trainer

    torch.set_num_threads(1)
    os.nice = lambda by: 0  # type: ignore[assignment]  # no slower than what waits for it
    if fault.startswith("/"):
        refuse_while(Path(fault))
        return
    step = Trainer._optimize

    def starved(self: Trainer, *given: Any) -> dict[str, float]:
        if self.step >= 2 and (self.config.batch > 1 or fault == "memory always"):
            torch.empty(1 << 50)
        return step(self, *given)

    if fault:
        Trainer._optimize = starved  # type: ignore[method-assign]


def refuse_while(flag: Path) -> None:
    """Let every new file of `write_atomic` be refused as on a full disk while `flag` is there."""
    make = tempfile.mkstemp

    def mkstemp(*given: Any, **named: Any) -> tuple[int, str]:
        if flag.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return make(*given, **named)

    files.tempfile = SimpleNamespace(mkstemp=mkstemp)  # type: ignore[assignment]


def start(folder: Path, fault: str = "") -> ForkServerProcess:
    """A worker on a run's folder."""
    child = context().Process(target=work, args=(folder, "train", fault), daemon=True)
    child.start()
    return child


class Forked:
    """In the place of the supervisor's `Popen`: a fork of this process, which has imported everything."""

    def __init__(self, command: list[str], **_: Any) -> None:
        folder, kind = Path(command[-2]), command[-1]
        fault = (folder / "fault").read_text() if (folder / "fault").exists() else ""
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setsid()
                work(folder, kind, fault)
            finally:
                os._exit(70)

    def wait(self) -> int:
        """The exit code, negative for a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def serve(home: Path, really: bool) -> None:
    """A studio without its page: the supervisor, until the process ends."""
    if not really:
        supervisor_module.subprocess = SimpleNamespace(  # type: ignore[assignment]
            Popen=Forked, DEVNULL=subprocess.DEVNULL)
    studio = Studio(Home.open(str(home)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    studio.supervisor.start()
    try:
        while True:
            time.sleep(1)
    finally:
        studio.close()


def start_studio(home: Path, really: bool = False) -> ForkServerProcess:
    """A studio in a process of its own."""
    child = context().Process(target=serve, args=(home, really))
    child.start()
    return child


def kill(pid: int | None) -> None:
    """kill -9, wherever it is."""
    assert pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def hold(pid: int | None) -> None:
    """Let a process notice nothing from now on."""
    assert pid
    os.kill(pid, signal.SIGSTOP)


def end(child: ForkServerProcess) -> int:
    """kill -9 and wait; the exit code."""
    kill(child.pid)
    child.join(PATIENCE)
    assert child.exitcode is not None
    return child.exitcode


def until(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `what` says once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return found


def steps_in(folder: Path) -> int:
    """Steps that the events tell of, since the beginning."""
    return max((e["step"] for e in read_events(folder) if e["type"] == "step"), default=0)


def checkpoints_in(folder: Path) -> int:
    """Checkpoints that were announced, by all starts together; cheap, since it is asked again and again."""
    try:
        return (folder / EVENTS).read_bytes().count(b'"type": "checkpoint"')
    except FileNotFoundError:
        return 0


def queue_training(studio: Studio, base: Path, name: str, **settings: Any) -> str:
    """Queue a very small training of two pictures."""
    options = {"steps": 8, "batch": 1, "rank": 2, "preview_every": 0, "checkpoint_every": 2, "precision": "fp32",
               "prior_weight": 0.0, "seed": 3, **settings}
    pictures = [SAMPLES / "koala" / f"{n}.png" for n in range(2)]
    return studio.start_training(pictures, name, "bear", base=str(base), trigger="zok", **options)


def outcome(folder: Path) -> dict[str, Any]:
    """The last thing that a worker said of itself."""
    found: dict[str, Any] = [e for e in read_events(folder) if e["type"] == "outcome"][-1]
    return found


def warnings_in(folder: Path) -> list[str]:
    return [e["text"] for e in read_events(folder) if e["type"] == "warning"]


def job_file(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "job.json").read_text("utf-8"))
    return found
