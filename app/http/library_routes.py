"""The library over HTTP: the Library room and programs use the same addresses."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from adapters.errors import StudioError
from adapters.formats import DEFAULT_RANK, formats_of, near_formats, title
from app.errors import Missing
from app.http.answers import library as answers
from app.http.bodies import AdapterFields
from app.http.described import FILE, PICTURE, body_is_file, fields_of, tells
from app.http.uploads import AT_ONCE, MAX_FILE
from app.library.exports import Exports, packed
from app.library.intake import plain_name, receive, workplace
from app.library.library import card_of
from app.library.library_entry import Entry, matching, plain, tags_of
from app.library.verifying import verify
from app.studio import Studio
from pipelines.references import SUFFIXES

MOST_ADAPTER = 8 << 30
MOST_EMBEDDING = 64 << 20
UPLOADS = {"POST /studio/library": MOST_ADAPTER, "POST /studio/verify": MOST_ADAPTER}
_EMBEDDINGS = (".pt", ".bin")
_ORDERS: dict[str, Callable[[Entry], Any]] = {"newest": lambda e: 0, "name": lambda e: e.name.casefold(),
                                              "size": lambda e: -e.size}

_Changed = fields_of(AdapterFields, examples=[{"tags": ["toys"], "notes": "fond of honey"}])
_Approximate = Annotated[bool, Body(embed=True, description="Write what comes near where it fits in no such file.")]
_Rank = Annotated[int, Body(ge=1, le=4096, description="Of what comes near.")]


def told(entry: Entry) -> dict[str, Any]:
    """An adapter for the page."""
    r = entry.record
    exports = [{"format": f, "title": title(r, f), "approximate": False} for f in formats_of(r)]
    exports += [{"format": f, "title": title(r, f), "approximate": True} for f in near_formats(r)
                if f not in formats_of(r)]
    return {**entry.as_dict(), "exports": exports, "changed": entry.changed}


def origin(studio: Studio, entry: Entry) -> dict[str, Any]:
    """Where it came from: its run, its pictures by hash, its base and settings, or the file that was taken in."""
    known, base = entry.record.provenance, entry.record.base
    hashes, config = known.get("images_sha256"), known.get("config")
    images = [plain(h, 64) for h in hashes] if isinstance(hashes, list) else []
    run = studio.store.get(plain(known.get("run", "")))
    settings = {plain(k, 40): plain(v) for k, v in config.items() if v is not None} if isinstance(config, dict) else {}
    return {"imported_from": plain(known.get("file", "")), "run": run.id if run else "",
            "run_state": run.state if run else "", "created": plain(known.get("created", "")),
            "references": len(images), "hashes": images, "base": base.model_dump(), "settings": settings,
            "precision": plain(known.get("precision", "")), "device": plain(known.get("device", ""))}


def routes(studio: Studio) -> APIRouter:
    """All routes under /studio/library, and /studio/exports for what they export."""
    router = APIRouter(prefix="/studio", tags=["library"])
    _add_lists(router, studio)
    _add_one(router, studio)
    _add_exports(router, studio)
    _add_verify(router, studio)
    return router


def _add_lists(router: APIRouter, studio: Studio) -> None:
    library = studio.library

    @router.get("/library", **tells(answers.Shelf))
    def every(search: str = "", tag: str = "", order: str = "newest", offset: Annotated[int, Query(ge=0)] = 0,
              limit: Annotated[int, Query(ge=1, le=500)] = 60) -> dict[str, Any]:
        """A page of those that match; `total` counts all of these, `all` the whole library."""
        if order not in _ORDERS:
            raise StudioError(f"'{order[:40]}' is no order; choose one of {', '.join(_ORDERS)}.")
        have = library.entries()
        found = sorted(matching(have, search, tag), key=_ORDERS[order])
        return {"total": len(found), "all": len(have), "tags": tags_of(have),
                "entries": [told(e) for e in found[offset:offset + limit]]}

    @router.post("/library", **tells(answers.Adapter), openapi_extra=body_is_file("The adapter file."))
    async def bring(request: Request, file: str) -> dict[str, Any]:
        """Take an adapter file in; the request's body is the file, `file` its name."""
        name = plain_name(file, (".safetensors", *_EMBEDDINGS))
        embedding = name.endswith(_EMBEDDINGS)
        async with workplace(studio.home.temporary) as folder:
            path = folder / name
            await receive(request, path, MOST_EMBEDDING if embedding else MOST_ADAPTER,
                          None if embedding else lambda header: header)
            return told(await run_in_threadpool(studio.import_file, path))

    @router.get("/trash", **tells(list[answers.Buried]))
    def deleted() -> list[dict[str, str]]:
        """Deleted adapters, the last first."""
        return [asdict(d) for d in library.deleted()]

    @router.post("/library/{id}/restore", **tells(answers.Adapter))
    def restore(id: str) -> dict[str, Any]:
        """Bring a deleted adapter back, by its id in the trash."""
        return told(library.restore(id))


def _add_verify(router: APIRouter, studio: Studio) -> None:

    @router.post("/verify", **tells(answers.Verified), openapi_extra=body_is_file("The picture or adapter file."))
    async def check(request: Request, file: str) -> Response:
        """Say whether a picture or an adapter is as the studio wrote it, and of what; the request's body is the file,
        `file` its name. Nothing of it is kept."""
        name = plain_name(file, (".safetensors", *sorted(SUFFIXES)))
        adapter = name.endswith(".safetensors")
        async with workplace(studio.home.temporary) as folder:
            await receive(request, folder / name, MOST_ADAPTER if adapter else MAX_FILE,
                          (lambda header: header) if adapter else None)
            return await run_in_threadpool(_verified, folder / name)


def _verified(path: Path) -> Response:
    """What `verify` finds; a stranger wrote parts of it, such as numbers and characters that JSON has not."""
    with AT_ONCE:
        found = verify(path)
    text = json.dumps(found, ensure_ascii=False).encode("utf-8", "replace").decode()
    return JSONResponse(json.loads(text, parse_constant=lambda _: None))


def _add_one(router: APIRouter, studio: Studio) -> None:
    library = studio.library

    @router.get("/library/{name}", **tells(answers.AdapterWhole))
    def one(name: str) -> dict[str, Any]:
        """An adapter and where it came from."""
        entry = library.get(name)
        return {**told(entry), "base_spec": entry.base_spec, "origin": origin(studio, entry)}

    @router.patch("/library/{name}", **tells(answers.Adapter))
    def change(name: str, fields: _Changed) -> dict[str, Any]:
        """Set name, tags or notes, or `kind` to `person`, which is never taken back."""
        if odd := set(fields) - {"name", "tags", "notes", "kind"}:
            raise StudioError(f"'{min(odd)[:40]}' of an adapter cannot be set; set name, tags, notes or kind.")
        if fields.get("kind", "person") != "person":
            raise StudioError("What an adapter shows can be set to a person alone, and stays so; leave its kind as it "
                              "is.")
        if not isinstance(new := fields.get("name", name), str):
            raise StudioError("A name is a text; type one, such as 'mycat'.")
        said = fields.get("tags"), fields.get("notes")
        library.get(name).remarks.changed(*said)  # before anything is done
        if "kind" in fields:
            library.mark_person(name)
        entry = library.rename(name, new)
        return told(library.remark(entry.name, *said) if any(s is not None for s in said) else entry)

    @router.delete("/library/{name}", **tells(answers.AdapterDeleted))
    def delete(name: str) -> dict[str, str]:
        """Move an adapter into the trash; `id` brings it back."""
        return {"deleted": name, "id": library.delete(name).name}

    @router.get("/library/{name}/card", response_class=PlainTextResponse)
    def card(name: str) -> str:
        """The model card, as Markdown text."""
        return card_of(library.get(name))

    @router.get("/library/{name}/preview", **PICTURE)
    def thumbnail(name: str) -> FileResponse:
        """The preview picture."""
        path = library.thumbnail(library.get(name).name)
        if not path.is_file():
            raise HTTPException(404)
        return FileResponse(path)


def _add_exports(router: APIRouter, studio: Studio) -> None:
    exports = Exports(studio)

    @router.post("/library/{name}/export/{format}", **tells(answers.Export))
    def check(name: str, format: str, approximate: _Approximate = False, rank: _Rank = DEFAULT_RANK) -> dict[str, Any]:
        """Write it as `format` and read it back: what matched; /studio/exports/{id} gives the file for an hour."""
        return exports.make(name, format, rank if approximate else None)

    @router.get("/exports/{id}", **FILE)
    def download(id: str) -> FileResponse:
        """An exported file."""
        if (path := exports.file(id)) is None:
            raise Missing("This export is not here any more; export it again.")
        return FileResponse(path, filename=path.name, media_type="application/octet-stream")

    @router.get("/library/{name}/export/{format}", **FILE)
    def export(name: str, format: str) -> FileResponse:
        """The file at once, for programs."""
        entry = studio.library.get(name)
        folder = Path(tempfile.mkdtemp(dir=studio.home.temporary))
        try:
            with studio.room(entry.size):
                report = studio.export(entry.name, format, folder / f"{entry.name}.safetensors")
                path = report.file if len(report.files) == 1 else packed(folder, entry.name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return FileResponse(path, filename=path.name, media_type="application/octet-stream",
                            background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True))
