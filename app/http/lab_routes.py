"""Comparisons, evaluations and the choice of a checkpoint over HTTP: queued like trainings, their results read back."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from fastapi.responses import FileResponse

from adapters.errors import StudioError
from app.http.answers import jobs as answers
from app.http.described import BASE, METHODS, NO_FACE, PICTURE, tells, text
from app.http.run_routes import told
from app.studio import Studio

_PLACE, _FILE = re.compile(r"[0-9a-f]{12}"), re.compile(r"\d{4}\.png")
_OPTIONS = "`seeds` (pictures of each prompt), `prompts` ({} is the subject), `force` (score what no judge knows)."
_EXAMPLE = {"seeds": 4, "prompts": ["{} on the beach"]}
Options = Annotated[dict[str, Any] | None, Body(description=_OPTIONS, examples=[_EXAMPLE])]
_Embedded = Annotated[dict[str, Any] | None, Body(embed=True, description=_OPTIONS, examples=[_EXAMPLE])]
_Draft = text("The id of the draft whose pictures are meant.")
_Run = text("The id of the training whose pictures are meant, in a draft's place.")
_Adapter = text("NAME, NAME:WEIGHT or NAME:WEIGHT:DIAL=VALUE,...", "mycat:0.8")
_Preset = text("How thorough: fast, balanced or best.", "fast")
_Steps = Annotated[int | None, Body(description="Steps of each training; none: the preset's.", examples=[300])]
KNOWN = ("seeds", "prompts", "force")


def _known(options: dict[str, Any] | None) -> dict[str, Any]:
    if wrong := set(options or {}) - set(KNOWN):
        raise StudioError(f"There is no option '{min(wrong)[:40]}' here; the options are {', '.join(KNOWN)}.")
    return options or {}


def routes(studio: Studio) -> APIRouter:
    """All of the lab's routes."""
    router, lab = APIRouter(prefix="/studio", tags=["lab"]), studio.lab

    @router.post("/comparisons", **tells(answers.Run))
    def compare(draft: _Draft, methods: METHODS, base: BASE = "starter", preset: _Preset = "balanced",
                steps: _Steps = None, no_face: NO_FACE = False, options: Options = None) -> dict[str, Any]:
        """Queue a comparison: a draft's pictures, taught with each of `methods`. `options`: seeds, prompts, force."""
        return told(studio, studio.job(lab.compare(draft, methods, base=base, preset=preset, steps=steps,
                                                   no_face=no_face, **_known(options))))

    @router.post("/evaluations", **tells(answers.Run))
    def evaluate(adapter: _Adapter, draft: _Draft = "", run: _Run = "", base: BASE = "",
                 options: Options = None) -> dict[str, Any]:
        """Queue an evaluation of an adapter (NAME:WEIGHT:DIAL=VALUE,...) against a draft's or a training's pictures."""
        return told(studio, studio.job(lab.evaluate(adapter, draft=draft, run=run, base=base, **_known(options))))

    @router.post("/runs/{run}/recommend", **tells(answers.Run))
    def recommend(run: str, options: _Embedded = None) -> dict[str, Any]:
        """Queue the choice of a training's checkpoint; answers with that job."""
        return told(studio, studio.job(lab.recommend(run, **_known(options))))

    @router.get("/runs/{run}/recommended", **tells(answers.Recommended | None))
    def recommended(run: str) -> dict[str, Any] | None:
        """The checkpoint that was chosen for a training, with the reason and all that were looked at; or null."""
        return lab.recommended(studio.job(run).id)

    @router.get("/runs/{run}/result", **tells(answers.Result))
    def result(run: str) -> dict[str, Any]:
        """What came out of a comparison, an evaluation or a choice."""
        return lab.result(run)

    @router.get("/runs/{run}/pictures/{place}/{file}", **PICTURE)
    def picture(run: str, place: str, file: str) -> FileResponse:
        """A picture of a comparison."""
        path = studio.home.runs / run / "pictures" / place / file
        if studio.store.get(run) is None or not (_PLACE.fullmatch(place) and _FILE.fullmatch(file) and path.is_file()):
            raise HTTPException(404)
        return FileResponse(path)

    return router
