"""Drafts over HTTP: the Concepts room and programs use the same addresses."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, HTTPException, Response, UploadFile
from fastapi.responses import FileResponse

from adapters.errors import StudioError
from app.concepts.draft import Draft, framed
from app.concepts.drafts import import_captions
from app.http.answers import drafts as answers
from app.http.answers.common import Deleted
from app.http.bodies import DraftFields, ShotFields
from app.http.body_limit import MOST
from app.http.described import PICTURE, fields_of, tells, text
from app.http.uploads import FORM, received
from app.studio import Studio
from pipelines.base_models.families import painted_side
from pipelines.base_models.locate import locate
from pipelines.picture_checks import Finding, check, look_for_people
from pipelines.references import MAX_IMAGES, open_image

MAX_CAPTION = 64 * 1024
_DRAFT = "/studio/drafts/[^/]+"
UPLOADS = {
    f"POST {_DRAFT}/pictures": 1 << 30,  # all of a draft at once, as a phone or a camera makes them
    f"POST {_DRAFT}/captions": MAX_IMAGES * MAX_CAPTION + MOST,
    f"PUT {_DRAFT}/pictures/[^/]+/masks/[^/]+": FORM,
}

_Find = text("Words to look for.", "a photo of")
_Put = text("What to write in their place.", "a drawing of")
_Texts = Annotated[list[UploadFile], File(description="Text files, each named like its picture.")]
_Pictures = Annotated[list[UploadFile], File(description="Pictures: PNG, JPEG, WebP or BMP.")]
_Mask = Annotated[UploadFile, File(description="A picture of the same size, white where the thing is.")]
_DraftFields = fields_of(DraftFields, examples=[{"things": [{"name": "mycat", "noun": "cat"}]}])
_ShotFields = fields_of(ShotFields, examples=[{"caption": "[trigger] on a chair", "flipped": True}])


def told(draft: Draft) -> dict[str, Any]:
    """A draft for the page, with the name that lists show."""
    return {**draft.model_dump(), "label": draft.label}


def routes(studio: Studio) -> APIRouter:
    """All routes under /studio/drafts."""
    drafts, router = studio.drafts, APIRouter(prefix="/studio/drafts", tags=["drafts"])
    _add_drafts(router, studio)
    _add_pictures(router, studio)
    _add_masks(router, studio)

    @router.patch("/{id}/captions", **tells(answers.CaptionsReplaced))
    def replace(id: str, find: _Find, put: _Put = "") -> dict[str, Any]:
        """Find and replace in all captions."""
        return {"changed": drafts.replace(id, find, put), "draft": told(drafts.get(id))}

    @router.post("/{id}/captions", **tells(answers.CaptionsTaken))
    def take_captions(id: str, files: _Texts) -> dict[str, Any]:
        """Captions from text files that have the names of their pictures."""
        notices: list[str] = []
        texts = [(f.filename or "", f.file.read(MAX_CAPTION).decode("utf-8", "replace")) for f in files]
        return {"found": import_captions(drafts, id, texts, notices.append), "notices": notices,
                "draft": told(drafts.get(id))}

    return router


def _add_drafts(router: APIRouter, studio: Studio) -> None:
    drafts = studio.drafts

    @router.get("", **tells(list[answers.DraftRow]))
    def every() -> list[dict[str, Any]]:
        """Every draft, the last changed first."""
        return [{"id": d.id, "label": d.label, "changed": d.changed, "pictures": len(d.shots)} for d in drafts.all()]

    @router.post("", **tells(answers.DraftTold))
    def new() -> dict[str, Any]:
        """An empty draft."""
        return told(drafts.new())

    @router.get("/{id}", **tells(answers.DraftTold))
    def one(id: str) -> dict[str, Any]:
        """All of a draft but its pixels."""
        return told(drafts.get(id))

    @router.patch("/{id}", **tells(answers.DraftTold))
    def update(id: str, fields: _DraftFields) -> dict[str, Any]:
        """Set title, things, prefix or suffix."""
        return told(drafts.update(id, **fields))

    @router.delete("/{id}", **tells(Deleted))
    def delete(id: str) -> dict[str, str]:
        """Put a draft away."""
        drafts.delete(id)
        return {"deleted": id}

    @router.post("/{id}/restore", **tells(answers.DraftTold))
    def restore(id: str) -> dict[str, Any]:
        """Bring it back."""
        return told(drafts.restore(id))

    @router.get("/{id}/checks", **tells(list[answers.Checked]))
    def checks(id: str, base: str = "starter") -> list[dict[str, Any]]:
        """What is likely to spoil a training on a base; that the base itself cannot be used is among it."""
        draft, found = drafts.get(id), list[Finding]()
        try:
            location = locate(base)
            side, name = painted_side(location, offline=True), location.name
        except StudioError as error:
            found, side, name = [Finding(str(error))], 0, base
        shown = {s.name: framed(open_image(drafts.picture(id, s.id)), s) for s in draft.shots}
        things = {t.id for t in draft.things}  # one that was taken out leaves its masks behind
        masks = {s.name: [framed(open_image(drafts.mask(id, s.id, m)).convert("L"), s) for m in s.masks if m in things]
                 for s in draft.shots}
        objects = all(t.kind != "person" for t in draft.things)
        found += (*(look_for_people(shown) if objects else ()), *check(shown, masks, side, name))
        return [asdict(f) for f in found]


def _add_pictures(router: APIRouter, studio: Studio) -> None:
    drafts = studio.drafts

    @router.post("/{id}/pictures", **tells(answers.PicturesTaken))
    def add(id: str, files: _Pictures) -> dict[str, Any]:
        """Take pictures in; those that are refused are named with the reason, the others are kept."""
        refused = []
        for file in files:
            name = Path(file.filename or "picture").name
            try:
                received(studio.home, file, name, partial(drafts.add, id, name))
            except StudioError as error:
                refused.append(str(error))
        return {"draft": told(drafts.get(id)), "refused": refused}

    @router.patch("/{id}/pictures/{shot}", **tells(answers.DraftTold))
    def change(id: str, shot: str, fields: _ShotFields) -> dict[str, Any]:
        """Set a picture's caption, crop or flip."""
        return told(drafts.change(id, shot, **fields))

    @router.delete("/{id}/pictures/{shot}", **tells(answers.DraftTold))
    def remove(id: str, shot: str) -> dict[str, Any]:
        """Take a picture out."""
        return told(drafts.remove(id, shot))

    @router.post("/{id}/pictures/{shot}/restore", **tells(answers.DraftTold))
    def take_back(id: str, shot: str) -> dict[str, Any]:
        """Put it back, with its caption and masks."""
        return told(drafts.take_back(id, shot))

    @router.get("/{id}/pictures/{shot}", **PICTURE)
    def picture(id: str, shot: str, small: bool = False) -> FileResponse:
        """The picture as taken in, or small."""
        _known(drafts.get(id), shot)
        return FileResponse(drafts.thumbnail(id, shot) if small else drafts.picture(id, shot))


def _add_masks(router: APIRouter, studio: Studio) -> None:
    drafts = studio.drafts

    @router.get("/{id}/pictures/{shot}/masks/{thing}", **PICTURE)
    def mask(id: str, shot: str, thing: str) -> Response:
        """A painted mask as grey PNG."""
        if thing not in _known(drafts.get(id), shot):
            raise HTTPException(404)
        return FileResponse(drafts.mask(id, shot, thing), headers={"Cache-Control": "no-store"})

    @router.put("/{id}/pictures/{shot}/masks/{thing}", **tells(answers.DraftTold))
    def paint(id: str, shot: str, thing: str, file: _Mask) -> dict[str, Any]:
        """Keep a painted mask; an empty one is taken away."""
        found: Draft = received(studio.home, file, "mask.png", lambda path: drafts.set_mask(id, shot, thing, path))
        return told(found)

    @router.delete("/{id}/pictures/{shot}/masks/{thing}", **tells(answers.DraftTold))
    def clear(id: str, shot: str, thing: str) -> dict[str, Any]:
        """Take a mask away."""
        return told(drafts.set_mask(id, shot, thing, None))


def _known(draft: Draft, shot: str) -> tuple[str, ...]:
    """The masks of a picture, which may be a removed one; 404 when the draft never had it."""
    for found in (*draft.shots, *draft.removed):
        if found.id == shot:
            return found.masks
    raise HTTPException(404)
