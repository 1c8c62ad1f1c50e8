"""Errors as answers: one sentence, and a status by its kind."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from adapters.errors import StudioError
from app.errors import STATUS, Missing, Taken
from app.http.answers.common import Refusal

REFUSED: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Refusal, "description": "It cannot be done: why, and what to do."}}
"""How every address refuses."""


def explain_errors(app: FastAPI, *, missing: int) -> None:
    """Answer a StudioError with its sentence; one about something that is not there with the status `missing`."""
    statuses = {**STATUS, Missing: missing}

    @app.exception_handler(StudioError)
    async def _explain(_: Request, error: StudioError) -> JSONResponse:
        return explained(error, next((s for kind, s in statuses.items() if isinstance(error, kind)), 400))


def explained(error: StudioError, status: int) -> JSONResponse:
    """The answer for one; for a name that is taken with one that is `free`."""
    return JSONResponse({"error": str(error), **({"free": error.free} if isinstance(error, Taken) else {})}, status)
