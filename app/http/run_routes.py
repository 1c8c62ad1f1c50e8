"""Trainings over HTTP: started from drafts, followed event by event, stopped, gone on with, put away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from app.arguments import check_settings
from app.http.answers import jobs as answers
from app.http.described import tells
from app.jobs.job import ACTIVE, Job
from app.jobs.runs import EventTail
from app.studio import Studio

POLL = 0.3  # seconds between two looks at a run's events
_EVENTS: dict[int | str, dict[str, Any]] = {200: {
    "description": "Events with `id`, `event` (step, preview, checkpoint, ...; `end` is the last) and `data`, a JSON "
                   "object.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}}}}
_Step = Annotated[int | None, Body(embed=True, description="The step of the checkpoint; none: the last one.",
                                   examples=[500])]


def told(studio: Studio, job: Job) -> dict[str, Any]:
    """A run for programs: its row and how far it has come."""
    seen = studio.view(job.id)
    return {**studio.queue.told(job), "step": seen.step, "total": seen.total, "stage": seen.stage,
            "warnings": seen.warnings, "trigger": seen.trigger, "checkpoints": seen.checkpoints,
            "loss": seen.losses[-1][1] if seen.losses else None, "seconds_left": round(seen.seconds_left, 1)}


class Chosen(BaseModel):
    """How a draft is to be learned."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    method: str = Field("lora", examples=["lora"])
    """How it is learned, as /studio/methods lists it."""
    preset: str = Field("balanced", examples=["fast"])
    """How thorough: fast, balanced or best."""
    base: str = Field("starter", examples=["starter"])
    """The base: `spec` of one in /studio/bases."""
    memory: str = Field("", examples=["12"])
    """The graphics card's in GB, or empty."""
    settings: dict[str, Any] = Field(default_factory=dict, examples=[{"steps": 300, "rank": 16}])
    """The method's, by name, laid over the preset's."""


class Wanted(Chosen):
    """A training that is asked for."""

    draft: str
    """The id of a draft: pictures, name, what it is."""
    name: str = Field("", examples=["mycat"])
    """Another name than the draft's; empty takes that."""
    no_face: bool = False
    """Somebody has looked: what is called no person shows none."""

    def options(self) -> dict[str, Any]:
        """For `Studio.teach`. Raises StudioError for a method or a setting that there is not."""
        check_settings(self.method, self.settings)
        return {"name": self.name, "base": self.base, "method": self.method, "preset": self.preset,
                "memory": self.memory or None, "no_face": self.no_face, **self.settings}


def routes(studio: Studio) -> APIRouter:
    """All routes under /studio/runs."""
    router = APIRouter(prefix="/studio/runs", tags=["runs"])

    @router.get("", **tells(list[answers.Job]))
    def every() -> list[dict[str, Any]]:
        """Every training, newest first."""
        return [studio.queue.told(job) for job in studio.jobs()]

    @router.post("", **tells(answers.Run))
    def start(wanted: Wanted, idempotency_key: Annotated[str, Header(max_length=200)] = "") -> dict[str, Any]:
        """Queue a training of a draft; `settings` are the method's, by name. What is sent again with the same
        `Idempotency-Key` is answered with the training of the first time."""
        return told(studio, studio.job(studio.teach(wanted.draft, asked=idempotency_key, **wanted.options())))

    @router.post("/preflight", **tells(answers.Run))
    def preflight(wanted: Wanted) -> dict[str, Any]:
        """Queue one real step of what `start` would train, before all that waits; its result says what it will take."""
        return told(studio, studio.job(studio.preflight(wanted.draft, **wanted.options())))

    @router.post("/estimate", **tells(answers.Estimate))
    def estimate(wanted: Wanted) -> dict[str, Any]:
        """Reckon what `start` would take, at once and without trying anything; a pre-flight measures it."""
        studio.drafts.get(wanted.draft)  # it goes by the settings alone, and refuses what `start` would
        asked = {k: v for k, v in wanted.options().items() if k not in ("name", "no_face")}
        return studio.estimate(**asked).as_dict()

    @router.get("/{run}/estimate", **tells(answers.Estimate))
    def estimate_of(run: str) -> dict[str, Any]:
        """The same for a training that is there, of its frozen settings."""
        return studio.estimate_of(run).as_dict()

    @router.get("/{run}", **tells(answers.Run))
    def one(run: str) -> dict[str, Any]:
        """One training and how far it has come."""
        return told(studio, studio.job(run))

    @router.get("/{run}/events", response_class=StreamingResponse, responses=_EVENTS)
    def events(run: str, request: Request, last_event_id: Annotated[int, Header(ge=0)] = 0,
               after: Annotated[int, Query(ge=0)] = 0) -> StreamingResponse:
        """Server-sent events, each a line of the run's log; `Last-Event-ID`, or `after`, goes on after that one."""
        job = studio.job(run)
        after = max(last_event_id, after)
        return StreamingResponse(_stream(studio, job.id, after, request), media_type="text/event-stream",
                                 headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    @router.post("/{run}/stop", **tells(answers.Run))
    def stop(run: str) -> dict[str, Any]:
        """Stop after the current step, keeping a checkpoint; a queued training leaves the queue."""
        studio.stop(run)
        return told(studio, studio.job(run))

    @router.post("/{run}/resume", **tells(answers.Run))
    def resume(run: str) -> dict[str, Any]:
        """Queue a stopped, failed or interrupted training again, from its last checkpoint."""
        studio.resume(run)
        return told(studio, studio.job(run))

    @router.post("/{run}/{what}-now", **tells(answers.Run))
    def now(run: str, what: str) -> dict[str, Any]:
        """`save-now` or `sample-now`: a checkpoint or a preview after the present step of a running training."""
        studio.wish(run, what)
        return told(studio, studio.job(run))

    @router.post("/{run}/keep", **tells(answers.Kept))
    def keep(run: str, step: _Step = None) -> dict[str, str]:
        """Put a training's last checkpoint, or that of `step`, into the library."""
        return {"adapter": studio.keep(run, step)}

    return router


async def _stream(studio: Studio, run: str, after: int, request: Request) -> AsyncIterator[str]:
    """Events after number `after`, as they come, until the run has ended or the listener has gone."""
    tail, number = EventTail(studio.home.runs / run), 0
    while True:
        job = await asyncio.to_thread(studio.store.get, run)
        for event in await asyncio.to_thread(tail.more):  # after the job: what ended has written all
            number += 1
            if number > after:
                yield f"id: {number}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
        if job is None or job.state not in ACTIVE:
            yield f"event: end\ndata: {json.dumps({'state': job.state if job else 'gone'})}\n\n"
            return
        if await request.is_disconnected():
            return
        await asyncio.sleep(POLL)
