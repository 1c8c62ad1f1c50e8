"""The machine, its bases and the studio's switches over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request
from starlette.concurrency import run_in_threadpool

from app.errors import NotAllowed
from app.http.answers import system as answers
from app.http.described import body_is_file, tells, text
from app.library.intake import plain_name, receive, workplace
from app.studio import Studio
from app.system.bases import told
from app.system.machine import facts
from pipelines.base_models.families import family_of_header
from pipelines.base_models.hub import describe
from pipelines.helpers import HELPERS

MOST_BASE = 16 << 30
UPLOADS = {"POST /studio/bases/upload": MOST_BASE}
_Offline = Annotated[bool, Body(embed=True, strict=True, description="Ask the hub for nothing.")]
_Spec = text("A folder or a file by its path, or OWNER/NAME.", "/models/sd15.safetensors", embed=True)
_Hub = text("OWNER/NAME on the hub.", "stable-diffusion-v1-5/stable-diffusion-v1-5", embed=True)


def routes(studio: Studio, *, admin: bool = True) -> APIRouter:
    """All routes under /studio/system, /studio/bases, /studio/downloads and for the trash.

    The bases are the machine's: who is no `admin` sees them and changes none.
    """
    router = APIRouter(prefix="/studio", tags=["system"])
    changes = APIRouter(dependencies=[] if admin else [Depends(_refuse)])
    _add_system(router, studio)
    _add_bases(router, changes, studio)
    _add_downloads(router, changes, studio)
    router.include_router(changes)
    return router


def _refuse() -> None:
    raise NotAllowed("The bases belong to everyone here, and admins alone change them; ask one.")


def _add_system(router: APIRouter, studio: Studio) -> None:

    def whole() -> dict[str, Any]:
        return {**facts(studio.home), "offline": studio.offline, "told_offline": studio.told_offline}

    @router.get("/system", **tells(answers.System))
    def system() -> dict[str, Any]:
        """Memory, disk, the data folder's parts, versions, switches."""
        return whole()

    @router.get("/system/device", **tells(answers.Device))
    def device() -> dict[str, Any]:
        """What computes, found out by a process of its own: some seconds, or what it was a minute ago at most."""
        return studio.examiner.look()

    @router.patch("/system", **tells(answers.System))
    def turn(offline: _Offline) -> dict[str, Any]:
        """Turn the offline switch; it is kept in the data folder."""
        studio.set_offline(offline)
        return whole()

    @router.delete("/trash", **tells(answers.Freed))
    def empty() -> dict[str, int]:
        """Erase all that was deleted, for good: adapters, trainings, drafts, pictures. Says how many bytes went."""
        return {"freed": studio.empty_trash()}


def _add_bases(router: APIRouter, changes: APIRouter, studio: Studio) -> None:

    @router.get("/bases", **tells(list[answers.BaseTold]))
    def every() -> list[dict[str, Any]]:
        """The starter and every base that was added: `spec` is what `base` takes everywhere."""
        return [told(b) for b in studio.bases.all()]

    @changes.post("/bases", **tells(answers.BaseTold))
    def add(spec: _Spec) -> dict[str, Any]:
        """Add a diffusers folder or a single file by its path, or a hub model whose files are here."""
        return told(studio.bases.add(spec))

    @changes.post("/bases/upload", **tells(answers.BaseTold), openapi_extra=body_is_file("The base."))
    async def upload(request: Request, file: str) -> dict[str, Any]:
        """Take in a single-file base; the request's body is the file, refused by its header before the rest is kept."""
        name = plain_name(file, (".safetensors",))
        async with workplace(studio.home.temporary) as folder:
            await receive(request, folder / name, MOST_BASE, lambda header: family_of_header(header, name))
            return told(await run_in_threadpool(studio.bases.take_in, folder / name))

    @changes.delete("/bases/{id}", **tells(answers.BaseTold))
    def remove(id: str) -> dict[str, Any]:
        """Take it out of the list; its files stay, an uploaded one goes into the trash."""
        return told(studio.bases.remove(id))


def _add_downloads(router: APIRouter, changes: APIRouter, studio: Studio) -> None:

    # Not GET, which any page could make a browser send: a request leaves this machine.
    @changes.post("/hub", **tells(answers.HubAnswer))
    def look(id: _Hub) -> dict[str, Any]:
        """What the hub says of a model before it is downloaded: licence, size, whether it has to be asked for."""
        return asdict(describe(id, studio.offline))

    @router.get("/helpers", **tells(list[answers.HelperTold]))
    def helpers() -> list[dict[str, Any]]:
        """Models that some tools use where they are here: captioners, mask finders, judges. Downloads fetch them."""
        return [{"id": h.id, "title": h.title, "good_for": h.good_for, "licence": h.licence, "here": file is not None,
                 "bytes": file.stat().st_size if file else h.bytes} for h in HELPERS.values() for file in (h.file(),)]

    @router.get("/downloads", **tells(list[answers.Download]))
    def every() -> list[dict[str, Any]]:
        """Downloads since the studio was started."""
        return studio.downloads.all()

    @changes.post("/downloads", **tells(answers.Download))
    def start(id: _Hub) -> dict[str, Any]:
        """Download a base, or one of /studio/helpers, from the hub."""
        return studio.downloads.start(id, offline=studio.offline)

    @changes.post("/downloads/cancel", **tells(answers.Download))
    def cancel(id: _Hub) -> dict[str, Any]:
        """End a download; what came so far is kept."""
        return studio.downloads.cancel(id)
