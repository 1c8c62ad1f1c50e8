"""Runs queued jobs one at a time, each in a process of its own, and notes how they ended."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

from adapters.errors import StudioError
from app.concepts.consent import Consents
from app.home import Home
from app.jobs.allowed import leaving_nothing
from app.jobs.job import Job
from app.jobs.runs import DISK_FULL, StopFile, how_it_ended, view
from app.jobs.shared_device import Device
from app.jobs.store import JobStore
from app.library.library import Library
from app.system.leftovers import sweep
from pipelines.image_file import tensors_hash
from pipelines.shipped import REPOSITORY

_POLL, _SHARED_POLL = 0.5, 2.0  # seconds between two looks at the queue; with a queue for each of many people, fewer
_FULL = ("The disk is full; free some space and resume, the last checkpoint and everything before it is "
         "kept.")


class Supervisor:
    """A thread of the server. Jobs that a dead server left running become `interrupted`.

    Where several people share the `device`, each has a supervisor, which waits for its turn.
    """

    def __init__(self, home: Home, store: JobStore, library: Library, device: Device | None = None) -> None:
        self.home, self.store, self.library, self.device = home, store, library, device
        self._wake = threading.Event()
        self._closing = False
        self._current = ""
        self._owed = dict[str, int]()  # how jobs ended whose end is not noted yet: exit codes by id
        self._settling = threading.RLock()
        self._thread = threading.Thread(target=self._loop, name="supervisor", daemon=True)

    def start(self) -> None:
        """Settle and sweep away what an earlier server left, then begin."""
        self.settle_dead()
        with Consents(self.home.consents).held():
            sweep(self.home)
        self._thread.start()

    def settle_dead(self) -> None:
        """Note the end of runs whose process is gone, and of those whose end could not be noted before."""
        with self._settling:
            for job in self.store.all():
                gone = job.id in self._owed or not (job.pid and _alive(job.pid))
                # What runs here is noted by the thread that waits for it, which knows the exit code.
                if job.state == "running" and gone and job.id != self._current and self.store.seize(job.id, job.pid):
                    self._settle(job, self._owed.get(job.id, -1))

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def retire(self) -> None:
        """Start nothing more."""
        self._closing = True
        self._wake.set()

    def close(self) -> None:
        """Ask the running job to stop, wait for its checkpoint, end."""
        self._closing = True
        if self._current:
            StopFile(self.home.runs / self._current).request()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(60)

    def _loop(self) -> None:
        while not self._closing:
            try:
                if not self._one():
                    self.settle_dead()
                    self._wake.wait(_SHARED_POLL if self.device else _POLL)
                    self._wake.clear()
            except (StudioError, OSError, sqlite3.Error) as error:
                # A full disk passes; a dead queue would not.
                print(f"supervisor: {error}", file=sys.stderr, flush=True)
                time.sleep(2)

    def _one(self) -> bool:
        """Run the next job, when it is its turn; False when there is none."""
        with ExitStack() as held:
            kept_open: tuple[int, ...] = ()
            if self.device:
                if not self.store.due():
                    return False
                handle = held.enter_context(self.device.turn(self.home.root.name, lambda: self._closing))
                if handle is None:
                    return False
                kept_open = (handle,) if os.name == "posix" else ()
            job = self.store.claim()
            if job is None:
                return False
            self._run(job, kept_open)
        return True

    def _run(self, job: Job, kept_open: tuple[int, ...] = ()) -> None:
        self._current = job.id
        try:
            self._run_child(job, kept_open)
        finally:
            self._current = ""

    def _run_child(self, job: Job, kept_open: tuple[int, ...]) -> None:
        folder = self.home.runs / job.id
        try:
            with (folder / "worker.log").open("ab") as log:
                # A session of its own: Ctrl-C reaches the studio alone, which then asks it to stop.
                child = subprocess.Popen([sys.executable, "-m", "app.jobs.worker", str(folder), job.kind],
                                         stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                         cwd=REPOSITORY, start_new_session=True, pass_fds=kept_open,
                                         env={**os.environ, "HF_HUB_OFFLINE": "1"})  # whatever its settings say
                with contextlib.suppress(StudioError):  # a full disk takes no note; the job stays this process's
                    self.store.set_pid(job.id, child.pid)
                code = child.wait()
        except OSError as error:
            self._owed[job.id] = -1
            self.store.end(job.id, "failed", f"The process for it could not be started "
                                             f"({error.strerror}); free memory or disk and resume.")
            self._owed.pop(job.id, None)
            return
        with self._settling:
            self._owed[job.id] = code  # from here on `settle_dead` tries again, should the disk take no note now
            if self.store.seize(job.id, child.pid) or self.store.seize(job.id, os.getpid()):
                self._settle(job, code)
            self._owed.pop(job.id, None)

    def _settle(self, job: Job, code: int = -1) -> None:
        """Note how a run ended; what it finished goes into the library, once."""
        self._owed[job.id] = code
        state, message = how_it_ended(self.home.runs / job.id)
        if code == DISK_FULL:
            state, message = "failed", _FULL
        if state == "finished" and job.kind == "train":
            try:
                if not self._is_in_library(job):
                    self.publish(job)
            except StudioError as error:
                state, message = "failed", str(error)
        self.store.end(job.id, state, message)
        self._owed.pop(job.id, None)

    def _is_in_library(self, job: Job) -> bool:
        """Whether a studio that died before it could note so has put what a run learned there already."""
        source = self.home.runs / job.id / "adapter.safetensors"
        mine = [e for e in self.library.entries() if e.record.provenance.get("run") == job.id]
        return bool(mine) and source.is_file() and tensors_hash(source) in {tensors_hash(e.path) for e in mine}

    def publish(self, job: Job, step: int | None = None) -> str:
        """Put a run's adapter (or its last checkpoint, or that of `step`) into the library; returns its name there."""
        folder = self.home.runs / job.id
        checkpoints = sorted((folder / "checkpoints").glob("*.safetensors"))
        source = folder / "adapter.safetensors"
        if step is not None and not (job.state == "finished" and step == view(folder).total):
            checkpoints = [c for c in checkpoints if c.stem.endswith(f"-step{step:08d}")]
            if not checkpoints:
                raise StudioError(f"'{job.name}' has no checkpoint of step {step}; choose one that it has.")
            source = checkpoints[-1]
        elif not source.exists():
            if not checkpoints:
                raise StudioError(f"'{job.name}' has no checkpoint yet; resume it first.")
            source = checkpoints[-1]
        previews = [p for p in sorted((folder / "previews").glob("*-0.png"))
                    if not p.name.startswith("step00000000")]
        with leaving_nothing(folder):
            return self.library.add(source, job.name, previews[-1] if previews else None).name


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
