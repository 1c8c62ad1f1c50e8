"""Comparisons, evaluations and the choice of a checkpoint over HTTP: queued like trainings, their results read back."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from fastapi.responses import FileResponse

from adapters.errors import StudioError
from app.http.run_routes import told
from app.studio import Studio

_PLACE, _FILE = re.compile(r"[0-9a-f]{12}"), re.compile(r"\d{4}\.png")
Options = Annotated[dict[str, Any] | None, Body(examples=[{"seeds": 4, "prompts": ["{} on the beach"]}])]
KNOWN = ("seeds", "prompts", "force")


def _known(options: dict[str, Any] | None) -> dict[str, Any]:
    if wrong := set(options or {}) - set(KNOWN):
        raise StudioError(f"There is no option '{min(wrong)[:40]}' here; the options are {', '.join(KNOWN)}.")
    return options or {}


def routes(studio: Studio) -> APIRouter:
    """All of the lab's routes."""
    router, lab = APIRouter(prefix="/studio", tags=["lab"]), studio.lab

    @router.post("/comparisons")
    def compare(draft: Annotated[str, Body()], methods: Annotated[list[str], Body()],
                base: Annotated[str, Body()] = "starter", preset: Annotated[str, Body()] = "balanced",
                steps: Annotated[int | None, Body()] = None, no_face: Annotated[bool, Body()] = False,
                options: Options = None) -> dict[str, Any]:
        """Queue a comparison: a draft's pictures, taught with each of `methods`. `options`: seeds, prompts, force."""
        return told(studio, studio.job(lab.compare(draft, methods, base=base, preset=preset, steps=steps,
                                                   no_face=no_face, **_known(options))))

    @router.post("/evaluations")
    def evaluate(adapter: Annotated[str, Body()], draft: Annotated[str, Body()] = "", run: Annotated[str, Body()] = "",
                 base: Annotated[str, Body()] = "", options: Options = None) -> dict[str, Any]:
        """Queue an evaluation of an adapter (NAME:WEIGHT:DIAL=VALUE,...) against a draft's or a training's pictures."""
        return told(studio, studio.job(lab.evaluate(adapter, draft=draft, run=run, base=base, **_known(options))))

    @router.post("/runs/{run}/recommend")
    def recommend(run: str, options: Annotated[dict[str, Any] | None, Body(embed=True)] = None) -> dict[str, Any]:
        """Queue the choice of a training's checkpoint; answers with that job."""
        return told(studio, studio.job(lab.recommend(run, **_known(options))))

    @router.get("/runs/{run}/recommended")
    def recommended(run: str) -> dict[str, Any] | None:
        """The checkpoint that was chosen for a training, with the reason and all that were looked at; or null."""
        return lab.recommended(studio.job(run).id)

    @router.get("/runs/{run}/result")
    def result(run: str) -> dict[str, Any]:
        """What came out of a comparison, an evaluation or a choice."""
        return lab.result(run)

    @router.get("/runs/{run}/pictures/{place}/{file}")
    def picture(run: str, place: str, file: str) -> FileResponse:
        """A picture of a comparison."""
        path = studio.home.runs / run / "pictures" / place / file
        if studio.store.get(run) is None or not (_PLACE.fullmatch(place) and _FILE.fullmatch(file) and path.is_file()):
            raise HTTPException(404)
        return FileResponse(path)

    return router
