"""The queue over HTTP: whose turn it is, pauses, later starts, copies, and what is put away and brought back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from app.arguments import check_settings
from app.http.run_routes import told
from app.studio import Studio


def routes(studio: Studio) -> APIRouter:
    """The routes under /studio/queue, and those under /studio/runs that change a job's turn or place."""
    queue, router = studio.queue, APIRouter(prefix="/studio", tags=["queue"])

    def overview() -> dict[str, Any]:
        return {**queue.overview(), "beside": studio.paintings.queued()}

    @router.get("/queue")
    def whole() -> dict[str, Any]:
        """What runs, what waits in which order (each with a sentence that says for what), and what was deleted;
        `beside` are the pictures that are painted or wait to be: light work, which runs beside the one job."""
        return overview()

    @router.post("/queue/pause")
    def pause() -> dict[str, Any]:
        """Start nothing new; what runs goes on."""
        queue.pause(True)
        return overview()

    @router.post("/queue/go-on")
    def go_on() -> dict[str, Any]:
        """Start what waits again."""
        queue.pause(False)
        return overview()

    @router.post("/runs/{run}/move")
    def move(run: str, where: Annotated[str, Body(embed=True)]) -> dict[str, Any]:
        """Give a waiting job another turn: `up`, `down`, `first` or `last`."""
        queue.move(run, where)
        return overview()

    @router.post("/runs/{run}/later")
    def later(run: str, at: Annotated[float | None, Body(embed=True)] = None) -> dict[str, Any]:
        """Start no earlier than `at`, in seconds since 1970; null takes that back."""
        queue.postpone(run, at)
        return overview()

    @router.get("/runs/{run}/settings")
    def settings(run: str) -> dict[str, Any]:
        """A training's frozen settings, its method among them, and the first free name for another like it."""
        config = queue.frozen(run)
        return {"name": queue.free_name(config.name), "settings": config.training.model_dump()}

    @router.post("/runs/{run}/clone")
    def clone(run: str, name: Annotated[str, Body()] = "",
              settings: Annotated[dict[str, Any] | None, Body()] = None) -> dict[str, Any]:
        """Queue a new training of the frozen settings and pictures, under `name` or the first free one."""
        if settings:
            check_settings(queue.frozen(run).training.method, settings)
        return told(studio, studio.job(queue.clone(run, name, settings)))

    @router.delete("/runs/{run}")
    def delete(run: str) -> dict[str, str]:
        """Put a job into the trash; a running one must be stopped first."""
        return {"deleted": queue.delete(run).id}

    @router.post("/runs/{run}/restore")
    def restore(run: str) -> dict[str, Any]:
        """Bring a deleted job back."""
        return told(studio, queue.restore(run))

    return router
