"""The queue over HTTP: whose turn it is, pauses, later starts, copies, and what is put away and brought back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from app.arguments import check_settings
from app.http.answers import jobs as answers
from app.http.answers.common import Deleted
from app.http.described import TURN, tells, text
from app.http.run_routes import told
from app.studio import Studio

_Time = Annotated[float | None, Body(embed=True, description="Seconds since 1970; null: in its turn.",
                                     examples=[1790000000])]
_Name = text("What the copy is called; empty: the first free name.", "mycat-2")
_Changed = Annotated[dict[str, Any] | None, Body(description="Settings that are laid over the frozen ones.",
                                                 examples=[{"steps": 600, "seed": 1}])]


def routes(studio: Studio) -> APIRouter:
    """The routes under /studio/queue, and those under /studio/runs that change a job's turn or place."""
    queue, router = studio.queue, APIRouter(prefix="/studio", tags=["queue"])

    def overview() -> dict[str, Any]:
        return {**queue.overview(), "beside": studio.paintings.queued()}

    @router.get("/queue", **tells(answers.Overview))
    def whole() -> dict[str, Any]:
        """What runs, what waits in which order (each with a sentence that says for what), and what was deleted;
        `beside` are the pictures that are painted or wait to be: light work, which runs beside the one job."""
        return overview()

    @router.post("/queue/pause", **tells(answers.Overview))
    def pause() -> dict[str, Any]:
        """Start nothing new; what runs goes on."""
        queue.pause(True)
        return overview()

    @router.post("/queue/go-on", **tells(answers.Overview))
    def go_on() -> dict[str, Any]:
        """Start what waits again."""
        queue.pause(False)
        return overview()

    @router.post("/runs/{run}/move", **tells(answers.Overview))
    def move(run: str, where: TURN) -> dict[str, Any]:
        """Give a waiting job another turn: `up`, `down`, `first` or `last`."""
        queue.move(run, where)
        return overview()

    @router.post("/runs/{run}/later", **tells(answers.Overview))
    def later(run: str, at: _Time = None) -> dict[str, Any]:
        """Start no earlier than `at`, in seconds since 1970; null takes that back."""
        queue.postpone(run, at)
        return overview()

    @router.get("/runs/{run}/settings", **tells(answers.Frozen))
    def settings(run: str) -> dict[str, Any]:
        """A training's frozen settings, its method among them, and the first free name for another like it."""
        config = queue.frozen(run)
        return {"name": queue.free_name(config.name), "settings": config.training.model_dump()}

    @router.post("/runs/{run}/clone", **tells(answers.Run))
    def clone(run: str, name: _Name = "", settings: _Changed = None) -> dict[str, Any]:
        """Queue a new training of the frozen settings and pictures, under `name` or the first free one."""
        if settings:
            check_settings(queue.frozen(run).training.method, settings)
        return told(studio, studio.job(queue.clone(run, name, settings)))

    @router.delete("/runs/{run}", **tells(Deleted))
    def delete(run: str) -> dict[str, str]:
        """Put a job into the trash; a running one must be stopped first."""
        return {"deleted": queue.delete(run).id}

    @router.post("/runs/{run}/restore", **tells(answers.Run))
    def restore(run: str) -> dict[str, Any]:
        """Bring a deleted job back."""
        return told(studio, queue.restore(run))

    return router
