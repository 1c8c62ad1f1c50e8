"""What a job is: its row in the list of jobs, its kinds, and the states that it goes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["queued", "running", "finished", "stopped", "failed", "interrupted"]
Kind = Literal["train", "preflight", "evaluate", "compare", "recommend"]
ACTIVE: tuple[State, ...] = ("queued", "running")
RESUMABLE: tuple[State, ...] = ("stopped", "failed", "interrupted")


@dataclass(frozen=True)
class Job:
    """What has the device to itself for a while, such as a training; its folder under `runs/` has the same id.

    The fields are columns of the table in `store.py`. `place` is its turn among those that wait, the smallest first.
    Times are seconds since 1970; it does not start before `not_before`.
    """

    id: str
    name: str
    state: State
    pid: int | None
    message: str
    created: float
    started: float | None
    ended: float | None
    kind: Kind = "train"
    place: int = 0
    not_before: float | None = None
