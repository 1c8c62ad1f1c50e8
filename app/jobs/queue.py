"""The queue as a person sees it: whose turn it is and why not yet, copies of runs, and what was put away."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.errors import StudioError
from adapters.files import move
from adapters.naming import MAX_LENGTH, check_name
from app.concepts.consent import Consents
from app.errors import Missing
from app.home import Home
from app.jobs.allowed import consent_of
from app.jobs.job import ACTIVE, Job
from app.jobs.order import as_turn
from app.jobs.runs import StopFile, folder_id, view
from app.jobs.store import JobStore
from app.library.library import Library
from pipelines.methods.common import settings_error
from pipelines.run_config import CLASS_IMAGES, RunConfig

DOING = {"train": "training", "preflight": "trying a step", "evaluate": "evaluation", "compare": "comparison",
         "recommend": "choice of a checkpoint"}
MOST_DELETED = 20  # jobs in the trash that a list shows
FARTHEST = 366 * 86400  # seconds ahead that a start may be put


class Queue:
    """Turns, pauses, copies and deletions on one data folder. `wake` makes the supervisor look."""

    def __init__(self, home: Home, store: JobStore, library: Library, consents: Consents, wake: Callable[[], None],
                 elsewhere: Callable[[], bool] = lambda: False) -> None:
        """`elsewhere` says whether somebody else's job has the device."""
        self.home, self.store, self.library, self.consents = home, store, library, consents
        self.wake, self.elsewhere = wake, elsewhere

    def overview(self) -> dict[str, Any]:
        """What runs, what waits in which order and for what (a sentence), and what was deleted last."""
        jobs, paused = self.store.all(), self.store.paused
        running = next((j for j in jobs if j.state == "running"), None)
        waiting = self.store.waiting()
        return {"paused": paused, "running": self.told(running) if running else None,
                "deleted": [asdict(job) for job in self.store.deleted()[:MOST_DELETED]], "waiting": [
            {**asdict(job), "waits": self._waits(job, paused, running, waiting[:n])} for n, job in enumerate(waiting)]}

    def told(self, job: Job) -> dict[str, Any]:
        """A job's row, and whether it was asked to stop and still runs."""
        stopping = job.state == "running" and StopFile(self.home.runs / job.id).stop_requested()
        return {**asdict(job), "stopping": stopping}

    def _waits(self, job: Job, paused: bool, running: Job | None, ahead: list[Job]) -> str:
        now = time.time()
        if paused:
            return "Waits until the queue goes on; it is paused."
        if job.not_before and job.not_before > now:
            return f"Starts on {time.strftime('%d %b, %H:%M', time.localtime(job.not_before))} at the earliest."
        if due := [j for j in ahead if not j.not_before or j.not_before <= now]:
            return f"Waits for '{due[-1].name}' ({DOING[due[-1].kind]}), which is before it."
        if running is None and self.elsewhere():
            return "Waits for the job of another person: each has the device to itself, and people take turns."
        if running is None:
            return "Starts in a moment."
        left = view(self.home.runs / running.id).seconds_left
        soon = f", about {max(round(left / 60), 1)} min more" if left else ""
        return f"Waits for '{running.name}' ({DOING[running.kind]}{soon}): each has the device to itself."

    def job(self, run: str) -> Job:
        """A job by id; StudioError when there is none."""
        found = self.store.get(run)
        if found is None:
            raise Missing(f"There is no training '{run[:60]}'; choose one from the list.")
        return found

    def move(self, run: str, where: str) -> None:
        """Give a waiting job another turn: up, down, first or last."""
        job = self.job(run)
        if not self.store.move(run, as_turn(where)):
            raise StudioError(f"'{job.name}' is {job.state}; only what waits in the queue has a turn to change.")
        self.wake()

    def postpone(self, run: str, until: float | None) -> None:
        """Let a waiting job start no earlier than `until`, in seconds since 1970; None takes that back."""
        job = self.job(run)
        if until is not None and not time.time() < until < time.time() + FARTHEST:
            raise StudioError("A job starts later at a time within the next year, and this one is not; choose another "
                              "time.")
        if not self.store.postpone(run, until):
            raise StudioError(f"'{job.name}' is {job.state}; only what waits in the queue can start later.")
        self.wake()

    def pause(self, paused: bool) -> None:
        """Start nothing new (what runs goes on), or start again."""
        self.store.pause(paused)
        self.wake()

    def free_name(self, wanted: str) -> str:
        """`wanted`, or with the first number that no adapter and no job has."""
        taken, name, number = {j.name.lower() for j in self.store.all()}, wanted, 1
        while self.library.has(name) or name.lower() in taken:
            number += 1
            name = f"{wanted[:MAX_LENGTH - 6]}-{number}"
        return name

    def is_taken(self, name: str) -> bool:
        """Whether an adapter has the name, or a training that waits or runs."""
        busy = {j.name.lower() for j in self.store.all() if j.state in ACTIVE and j.kind == "train"}
        return self.library.has(name) or name.lower() in busy

    def frozen(self, run: str) -> RunConfig:
        """The settings that a training was queued with. Raises StudioError for a job of another kind."""
        job = self.job(run)
        if job.kind != "train":
            raise StudioError(f"'{job.name}' is no training but a {DOING[job.kind]}; start a new one of these.")
        return RunConfig.load(self.home.runs / run)

    def clone(self, run: str, name: str = "", settings: dict[str, Any] | None = None) -> str:
        """Queue a new run of a training's frozen settings and pictures; returns its id.

        Without a name it gets the first free one. A single concept takes the new name and gets a word of its own;
        several keep theirs. `settings` are laid over the frozen ones.
        """
        self.frozen(run)
        with self.consents.held(consent_of(self.home.runs / run)):
            copy = self._copied(run, name, settings or {})
        self.wake()
        return copy

    def _copied(self, run: str, name: str, settings: dict[str, Any]) -> str:
        """A copy of a training's folder that waits in the queue; its id."""
        source, config = self.home.runs / run, self.frozen(run)
        wanted = check_name(name) if name else self.free_name(config.name)
        if self.is_taken(wanted):
            raise StudioError(f"There is a concept '{wanted}' already; choose another name.")
        folder = self.home.runs / folder_id(wanted)
        try:
            for part in ("references", "masks", CLASS_IMAGES):
                if (source / part).is_dir():
                    shutil.copytree(source / part, folder / part)
            _renamed(config, wanted, settings).save(folder)
            self.store.add(folder.name, wanted)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder.name

    def requeue(self, run: str) -> bool:
        """Let a job that was stopped or failed wait again; False when it cannot."""
        with self.consents.held(consent_of(self.home.runs / run)):
            return self.store.requeue(run)

    def delete(self, run: str) -> Job:
        """Put a job and its folder into the trash; one that waits leaves the queue first. `restore` brings it back."""
        job = self.job(run)
        self.store.cancel(run)
        if not self.store.delete(run):
            raise StudioError(f"'{job.name}' is running; stop it first, then delete it.")
        try:
            _move(self.home.runs / run, self._grave(run))
        except OSError as error:
            self.store.delete(run, False)
            raise StudioError(f"'{job.name}' could not be put away ({error.strerror}); check the rights of the data "
                              "folder.") from error
        return job

    def restore(self, run: str) -> Job:
        """Bring a deleted job back, as it was."""
        with self.consents.held(consent_of(self._grave(Path(run).name))):
            if not self.store.delete(run, False):
                raise Missing("That training cannot be brought back any more.")
            try:
                _move(self._grave(run), self.home.runs / run)
            except OSError as error:
                self.store.delete(run)
                raise StudioError(f"The training could not be brought back ({error.strerror}); check the rights of "
                                  "the data folder.") from error
        return self.job(run)

    def erase_deleted(self) -> None:
        """Erase the jobs in the trash, for good."""
        for job in self.store.deleted():
            shutil.rmtree(self._grave(job.id), ignore_errors=True)
            self.store.forget(job.id)

    def erase_preflights(self) -> None:
        """Erase the pre-flights that have ended."""
        for job in self.store.all():
            if job.kind == "preflight" and job.state not in ACTIVE:
                shutil.rmtree(self.home.runs / job.id, ignore_errors=True)
                self.store.forget(job.id)

    def _grave(self, run: str) -> Path:
        return self.home.trash / "runs" / run


def _move(source: Path, target: Path) -> None:
    """Rename a folder, if it is there: after a crash in between it has moved already."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.exists():
        move(source, target)


def _renamed(config: RunConfig, name: str, settings: dict[str, Any]) -> RunConfig:
    try:
        training = type(config.training).model_validate({**config.training.model_dump(), **settings})
    except ValidationError as error:
        raise settings_error(error) from error
    concepts = config.concepts
    if len(concepts) == 1:
        concepts = (concepts[0].model_copy(update={"name": name, "trigger": ""}),)
    return config.model_copy(update={"name": name, "training": training, "concepts": concepts,
                                     "trigger": config.trigger if len(concepts) > 1 else ""})
