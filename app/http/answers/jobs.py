"""Jobs, the queue, methods, and what came out."""

from __future__ import annotations

from typing import Any

from app.http.answers.common import Answer
from app.jobs.job import Kind, State


class Row(Answer):
    """A job as lists show it: a training, a comparison, an evaluation, a choice of a checkpoint or a pre-flight."""

    id: str
    """By which it is asked for, and the name of its folder."""
    name: str
    """The concept's, or what is worked on."""
    kind: Kind
    """What it does."""
    state: State
    """How far it is; `queued` and `running` have not ended."""
    message: str
    """Why it failed, in a sentence; else empty."""
    pid: int | None
    """Its process while it runs."""
    created: float
    """When it was queued."""
    started: float | None
    """When it got the device first."""
    ended: float | None
    """When it ended."""
    place: int
    """Its turn among those that wait, the smallest first."""
    not_before: float | None
    """When it may start at the earliest."""


class Job(Row):
    """A job, and whether it was asked to stop."""

    stopping: bool
    """Asked to stop, and still running."""


class Run(Job):
    """A job and how far it has come."""

    step: int
    """Steps that are done."""
    total: int
    """Steps in all; 0 where that is not known yet."""
    stage: str
    """What it does now, in words."""
    warnings: list[str]
    """What a person should know, a sentence each."""
    trigger: str
    """The words for a prompt, once it has finished."""
    checkpoints: list[int]
    """Steps whose checkpoint is kept."""
    loss: float | None
    """Of the last step."""
    seconds_left: float
    """At the pace of the last steps."""


class Waiting(Row):
    """A job that waits."""

    waits: str
    """For what, in a sentence."""


class Beside(Answer):
    """Pictures that are painted beside the one job, or wait to be."""

    id: str
    """Of the painting."""
    name: str
    """Its prompt."""
    state: str
    """`waiting` or `painting`."""
    done: int
    """Pictures that are there."""
    total: int
    """Pictures in all."""


class Overview(Answer):
    """The one queue."""

    paused: bool
    """Nothing new is started."""
    running: Job | None
    """What has the device now."""
    waiting: list[Waiting]
    """What waits, in its order."""
    deleted: list[Row]
    """What was deleted last and can be restored."""
    beside: list[Beside]
    """Light work, which waits for nothing but its own turn."""


class Frozen(Answer):
    """What a training was queued with."""

    name: str
    """The first free name for another like it."""
    settings: dict[str, Any]
    """By the names that /studio/methods lists, `method` among them."""


class Kept(Answer):
    """A checkpoint that was put into the library."""

    adapter: str
    """Its name there."""


class Estimate(Answer):
    """What a training will most likely take, reckoned and not tried."""

    seconds: float
    """From its start to the adapter's file."""
    peak_bytes: int
    """The most memory at a time."""
    file_bytes: int
    """The adapter's file."""
    like: str
    """The training on this machine whose pace it goes by; empty: a guess."""
    says: str
    """All of it in a sentence."""


class Result(Answer):
    """What came out of a job. The fields beside `kind` are that kind's."""

    kind: Kind
    """Comparisons have `prompts`, `encoder` and `rows`; evaluations and choices what their pages show; pre-flights
    seconds, bytes and `says`, all in a sentence."""


class Recommended(Answer):
    """The checkpoint of a training to use."""

    step: int
    """Of that checkpoint."""
    why: str
    """The reason, in a sentence."""
    encoder: str
    """What judged the pictures."""
    checkpoints: list[dict[str, Any]]
    """All that were looked at: step, file, likeness, prompt."""


class Methods(Answer):
    """The ways to learn."""

    methods: list[dict[str, Any]]
    """Each with `method`, `title`, `paper`, `several`, `needs_masks` and its `fields`: name, label, kind, limits, tip.
    """
    memory: list[str]
    """Graphics memories in GB that there are settings for."""
    presets: list[dict[str, str]]
    """`name` and `label` of each."""
