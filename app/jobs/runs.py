"""A run's folder, as the studio makes and reads it. The worker appends events, everybody reads."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.files import disk_error
from app.jobs.job import State

EVENTS = "events.jsonl"
STOP = "stop"
DISK_FULL = 3  # exit code of a worker that could not even write that it failed


def folder_id(name: str) -> str:
    """A new run's id: the name and the moment."""
    return f"{name}-{time.strftime('%Y%m%d%H%M%S')}-{time.time_ns() % 1_000_000:06d}"


class EventLog:
    """Appends one JSON object a line. Steps are buffered for a moment, all else is written at once."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / EVENTS).open("a", encoding="utf-8")
        self._written = 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        """Append an event with its time. Raises StudioError when the disk is full."""
        try:
            self._file.write(json.dumps({"time": round(time.time(), 3), **event}) + "\n")
            if event["type"] != "step" or time.monotonic() - self._written > 0.25:
                self._file.flush()
                self._written = time.monotonic()
        except OSError as error:
            raise disk_error(error, Path(self._file.name)) from error


class StopFile:
    """A run is told to stop by a file in its folder, so that any process can say so."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / STOP

    def stop_requested(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def request(self) -> None:
        """Ask the run to stop after its step."""
        self.path.touch()

    def clear(self) -> None:
        """Take the request back."""
        self.path.unlink(missing_ok=True)


WISHES = ("save", "sample")


class WishFiles:
    """A running training is asked for a checkpoint or a preview by a file in its folder, which it takes away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ask(self, what: str) -> None:
        """Ask for it after the present step."""
        (self.folder / f"{what}-now").touch()

    def take(self, what: str) -> bool:
        """Whether it was asked for; asked once, done once."""
        try:
            (self.folder / f"{what}-now").unlink()
        except FileNotFoundError:
            return False
        return True


@dataclass
class RunView:
    """What the events of a run say so far."""

    step: int = 0
    total: int = 0
    stage: str = ""
    seconds_per_step: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)
    previews: dict[int, dict[int, str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    trigger: str = ""
    first_preview_seconds: float | None = None
    checkpoints: list[int] = field(default_factory=list)

    @property
    def seconds_left(self) -> float:
        """Time for the steps that are left, at the pace of the last ones."""
        return (self.total - self.step) * self.seconds_per_step


class EventTail:
    """The events of a run as they come: what was read is not read again, however long the log is."""

    def __init__(self, folder: Path) -> None:
        self._path, self._at = folder / EVENTS, 0

    def more(self) -> list[dict[str, Any]]:
        """Whole events since the last look; a line that is being written is not there yet."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[:data.rfind(b"\n") + 1]
        self._at += len(whole)
        return _events(whole.decode("utf-8", errors="replace"))


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All whole events so far."""
    return EventTail(folder).more()


def how_it_ended(folder: Path) -> tuple[State, str]:
    """How the last start of a job ended, as its events tell, with the message for the list."""
    events = read_events(folder)
    outcomes = [e for e in events if e["type"] == "outcome"]
    started = [e for e in events if e["type"] == "stage" and e["text"] == "Starting"]
    if outcomes and started and outcomes[-1]["time"] >= started[-1]["time"]:
        return outcomes[-1]["state"], outcomes[-1]["message"]
    return "interrupted", ("Its process ended without a word, most often because the memory was not enough or the "
                           "machine went off; resume goes on from what was kept last.")


def _events(text: str) -> list[dict[str, Any]]:
    found = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "type" in event:
            found.append(event)
    return found


def view(folder: Path) -> RunView:
    """Fold a run's events. Steps that a resumed run repeats replace the earlier ones."""
    seen, paces = RunView(), list[float]()
    events = read_events(folder)
    for event in events:
        kind = event["type"]
        if kind == "step":
            while seen.losses and seen.losses[-1][0] >= event["step"]:
                seen.losses.pop()
            seen.step, seen.total = event["step"], event["total"]
            seen.losses.append((event["step"], event["loss"]))
            paces.append(event["seconds"])
        elif kind == "progress":
            seen.step, seen.total = event["done"], event["total"]
        elif kind == "stage":
            seen.stage = event["text"]
        elif kind == "preview":
            seen.previews.setdefault(event["step"], {})[event["number"]] = event["file"]
            if seen.first_preview_seconds is None and event["step"]:
                seen.first_preview_seconds = event["time"] - events[0]["time"]
        elif kind == "checkpoint" and event["step"] not in seen.checkpoints:
            seen.checkpoints.append(event["step"])
        elif kind == "warning" and event["text"] not in seen.warnings:
            seen.warnings.append(event["text"])
        elif kind == "finished":
            seen.trigger = event["trigger"]
    recent = paces[-30:]
    seen.seconds_per_step = sum(recent) / len(recent) if recent else 0.0
    return seen
