"""The queue on the command line: it is the data folder's, so a studio that is running follows at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from adapters.errors import StudioError
from app.home import Home
from app.jobs.job import ACTIVE
from app.jobs.queue import DOING
from app.studio import Studio
from app.verbs.lab_verbs import speaker

Verb = Callable[[str, Callable[[argparse.Namespace], dict[str, Any]], str], argparse.ArgumentParser]
_OF_ONE = ("up", "down", "first", "last", "stop", "resume", "clone", "delete", "restore")
_OF_ALL = ("list", "pause", "go-on")
_MOST_ENDED = 20  # jobs that the list shows


def add(verb: Verb) -> None:
    """Register `queue`."""
    queue = verb("queue", _queue, "what runs and waits in the studio, in which order, and what ended last")
    queue.add_argument("action", nargs="?", default="list", choices=(*_OF_ALL, *_OF_ONE))
    queue.add_argument("job", nargs="?", default="", help="the id of a job, as 'queue' lists it")
    queue.add_argument("--name", default="", help="of a clone; else the first free one")


def _queue(options: argparse.Namespace) -> dict[str, Any]:
    studio = Studio(Home.open(getattr(options, "home", None)), offline=getattr(options, "offline", False))
    action, run, queue = options.action, options.job, studio.queue
    if (action in _OF_ONE) != bool(run):
        raise StudioError(f"'queue {action}' {'takes no' if run else 'needs a'} job; "
                          + ("leave the id out." if run else "give the id of one, 'queue' lists them."))
    done = ""
    if action in ("pause", "go-on"):
        queue.pause(action == "pause")
    elif action in ("up", "down", "first", "last"):
        queue.move(run, action)
    elif action == "clone":
        done = queue.clone(run, options.name)
    elif action in _OF_ONE:
        {"stop": studio.stop, "resume": studio.resume, "delete": queue.delete, "restore": queue.restore}[action](run)
    ended = [asdict(job) for job in studio.jobs() if job.state not in ACTIVE][:_MOST_ENDED]
    seen = {**queue.overview(), "ended": ended}
    speaker(options)("\n".join(_lines(seen)))
    return {**seen, **({"cloned": done} if done else {})}


def _lines(seen: dict[str, Any]) -> list[str]:
    lines = ["The queue is paused."] if seen["paused"] else []
    if running := seen["running"]:
        lines.append(f"runs   {running['id']}  {DOING[running['kind']]}")
    lines += [f"waits  {job['id']}  {DOING[job['kind']]}  {job['waits']}" for job in seen["waiting"]]
    if not (running or seen["waiting"]):
        lines.append("Nothing runs and nothing waits.")
    # What resume, clone and delete are for, and restore.
    lines += [f"{job['state']}  {job['id']}  {DOING[job['kind']]}" for job in seen["ended"]]
    return lines + [f"deleted  {job['id']}  {DOING[job['kind']]}" for job in seen["deleted"]]
