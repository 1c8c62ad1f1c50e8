"""Every address of one studio: the same for the only one on a machine and for each person's."""

from __future__ import annotations

import re

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse

from app.accounts.accounts import Account
from app.accounts.people import People
from app.http import (
    account_routes,
    draft_routes,
    image_routes,
    lab_routes,
    library_routes,
    look_routes,
    method_routes,
    people_routes,
    queue_routes,
    run_routes,
    system_routes,
)
from app.http.described import PICTURE, summarise
from app.http.explaining import REFUSED, explain_errors
from app.studio import Studio

OPENAPI = "/studio/openapi.json"
UPLOADS = {**draft_routes.UPLOADS, **image_routes.UPLOADS, **library_routes.UPLOADS, **system_routes.UPLOADS}
"""Bytes that a request may bring where files are taken in (see `body_limit.py`)."""
_PREVIEW = re.compile(r"step\d{8}-\d+\.png")


def add_studio(app: FastAPI, studio: Studio, *, admin: bool = True) -> None:
    """Put all routes of a studio into an application; without `admin` those that change the machine refuse."""
    _add_previews(app, studio)
    for part in (draft_routes, look_routes, method_routes, run_routes, queue_routes, lab_routes, image_routes,
                 library_routes, people_routes):
        app.include_router(part.routes(studio))
    app.include_router(system_routes.routes(studio, admin=admin))
    summarise(app)


def of_person(people: People, account: Account) -> FastAPI:
    """The application of one person alone: it has no other's files to give."""
    app = FastAPI(title="Semblance", docs_url=None, redoc_url=None, openapi_url=OPENAPI, responses=REFUSED)
    app.include_router(account_routes.routes(people, account))
    add_studio(app, people.person(account).studio, admin=account.role == "admin")
    explain_errors(app, missing=404)
    return app


def _add_previews(app: FastAPI, studio: Studio) -> None:
    """A training's previews; every name is checked against what there is."""

    @app.get("/studio/runs/{run}/previews/{file}", tags=["runs"], **PICTURE)
    def preview(run: str, file: str) -> FileResponse:
        """A picture that a training painted on its way."""
        path = studio.home.runs / run / "previews" / file
        if studio.store.get(run) is None or not (_PREVIEW.fullmatch(file) and path.is_file()):
            raise HTTPException(404)
        return FileResponse(path)
