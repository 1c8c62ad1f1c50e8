"""What can be asked of a draft's pictures: a mask of what is pointed at, captions, what a loss will see."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response

from adapters.errors import StudioError
from app.arguments import check_settings
from app.concepts.draft import framed
from app.http.answers import drafts as answers
from app.http.bodies import Pointed
from app.http.described import BASE, PICTURE, fields_of, tells, text
from app.http.draft_routes import told
from app.http.run_routes import Chosen
from app.studio import Studio
from pipelines.captioners import here
from pipelines.helpers import BLIP
from pipelines.references import open_image

PNG = "image/png"
_Pointed = fields_of(Pointed, description="What is pointed at.", examples=[{"box": [0.2, 0.2, 0.8, 0.9]}])
_Base = text("The base that looks: `spec` of one in /studio/bases.", "starter", embed=True)
_Model = text("A captioner: folder or hub id; empty: one whose weights are here.", BLIP, embed=True)


def routes(studio: Studio) -> APIRouter:
    """Routes under /studio/drafts that need the looking process, and what it can look with."""
    router = APIRouter(prefix="/studio", tags=["drafts"])

    @router.get("/captioners", response_description="Hub ids.")
    def captioners() -> list[str]:
        """What can write captions here: hub ids whose weights are in the cache."""
        return here()

    @router.post("/drafts/{id}/pictures/{shot}/find", **PICTURE)
    def find(id: str, shot: str, pointed: _Pointed, base: BASE = "starter") -> Response:
        """A mask (PNG of the picture's size) of what is pointed at, kept nowhere; `X-Found-By` says what found it.

        `pointed` has a `box` (left, top, right, bottom), `clicks` ([x, y, whether on the thing]), all as shares of the
        picture, or a `word`.
        """
        studio.drafts.get(id).shot(shot)
        with tempfile.TemporaryDirectory(dir=studio.home.temporary) as scratch:
            out = Path(scratch) / "mask.png"
            said = studio.looker.ask("mask", picture=str(studio.drafts.picture(id, shot)), pointed=pointed, base=base,
                                     offline=studio.stays, out=str(out))
            return Response(out.read_bytes(), media_type=PNG, headers={"X-Found-By": said["found_by"]})

    @router.post("/drafts/{id}/pictures/{shot}/masks/{thing}/find", **tells(answers.MaskFound))
    def find_thing(id: str, shot: str, thing: str, base: _Base = "starter") -> dict[str, Any]:
        """Find a thing by its noun and keep the mask; `found_by` is empty where it has one by now or is gone."""
        return {"found_by": _mask(studio, id, shot, thing, base), "draft": told(studio.drafts.get(id))}

    @router.post("/drafts/{id}/captions/write", **tells(answers.CaptionsWritten))
    def write(id: str, model: _Model = "") -> dict[str, Any]:
        """Caption every picture that has none, by `model` (folder or hub id) or a captioner whose weights are here."""
        bare = [s.id for s in studio.drafts.get(id).shots if not s.caption.strip()]
        if not bare:
            raise StudioError("Every picture has a caption already; clear those that are to be written anew.")
        writers = [by for shot in bare if (by := _caption(studio, id, shot, model))]
        return {"written": len(writers), "written_by": writers[-1] if writers else "",
                "draft": told(studio.drafts.get(id))}

    @router.post("/drafts/{id}/pictures/{shot}/caption", **tells(answers.CaptionWritten))
    def write_one(id: str, shot: str, model: _Model = "") -> dict[str, Any]:
        """Caption one picture as above; `written_by` is empty where it has a caption by now or is gone."""
        return {"written_by": _caption(studio, id, shot, model), "draft": told(studio.drafts.get(id))}

    @router.post("/drafts/{id}/pictures/{shot}/seen", **PICTURE)
    def seen(id: str, shot: str, chosen: Chosen) -> Response:
        """What a training's loss sees of a picture (PNG), grey where it does not look; `X-Seen` says it in words."""
        check_settings(chosen.method, chosen.settings)
        draft = studio.drafts.get(id)
        found = draft.shot(shot)
        with tempfile.TemporaryDirectory(dir=studio.home.temporary) as scratch:
            folder = Path(scratch)
            framed(open_image(studio.drafts.picture(id, shot)), found).save(folder / "picture.png")
            masks = []
            for thing in (draft.things if all(t.id in found.masks for t in draft.things) else ()):
                masks.append(str(folder / f"{thing.id}.png"))
                framed(open_image(studio.drafts.mask(id, shot, thing.id)).convert("L"), found).save(masks[-1])
            said = studio.looker.ask("seen", picture=str(folder / "picture.png"), masks=masks,
                                     nouns=[t.noun for t in draft.things], offline=studio.stays,
                                     out=str(folder / "seen.png"), **chosen.model_dump())
            return Response((folder / "seen.png").read_bytes(), media_type=PNG,
                            headers={"X-Seen": _words(said), "Cache-Control": "no-store"})

    return router


def _caption(studio: Studio, id: str, shot: str, model: str) -> str:
    """Have a picture captioned that has none; who wrote it, '' where a person was quicker.

    It is looked at again when the words have come: a model takes seconds, in which a person types.
    """
    bare = next((s for s in studio.drafts.get(id).shots if s.id == shot and not s.caption.strip()), None)
    if bare is None:
        return ""
    with tempfile.TemporaryDirectory(dir=studio.home.temporary) as scratch:
        file = Path(scratch) / "picture.png"
        framed(open_image(studio.drafts.picture(id, shot)), bare).save(file)
        said = studio.looker.ask("captions", pictures=[str(file)], model=model)
    return str(said["written_by"]) if studio.drafts.suggest(id, shot, said["captions"][0]) else ""


def _mask(studio: Studio, id: str, shot: str, thing: str, base: str) -> str:
    """Have a thing found that has no mask in a picture; what found it, '' where a person was quicker."""
    draft = studio.drafts.get(id)
    noun = next((t.noun for t in draft.things if t.id == thing), None)
    if noun is None or not any(s.id == shot and thing not in s.masks for s in draft.shots):
        return ""
    with tempfile.TemporaryDirectory(dir=studio.home.temporary) as scratch:
        out = Path(scratch) / "mask.png"
        said = studio.looker.ask("mask", picture=str(studio.drafts.picture(id, shot)), pointed={"word": noun},
                                 base=base, offline=studio.stays, out=str(out))
        kept = studio.drafts.suggest_mask(id, shot, thing, open_image(out))
    return str(said["found_by"]) if kept else ""


def _words(said: dict[str, Any]) -> str:
    size = f"{said['width']} x {said['height']} pixels"
    if not said["masked"]:
        return f"{size}, all of it"
    edges = "soft edges kept" if said["soft"] else "hard edges"
    return f"{size}; masks on a grid of {said['grid'][0]} x {said['grid'][1]}, {edges}, {said['share']:.0%} has weight"
