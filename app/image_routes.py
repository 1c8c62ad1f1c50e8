"""Pictures over HTTP: painted by the warm process, fetched from /studio/images."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from adapters.errors import StudioError
from app.arguments import parse_adapter
from app.studio import Studio

FIELDS = ("prompt", "negative_prompt", "seed", "steps", "guidance", "images", "width", "height")


def routes(studio: Studio) -> APIRouter:
    """The route that paints."""
    router = APIRouter(prefix="/studio/images", tags=["images"])

    @router.post("")
    def paint(request: Annotated[dict[str, Any], Body(examples=[{"prompt": "a photo of a cat", "seed": 1}])],
              adapters: Annotated[list[str] | None, Body(examples=[["mycat:0.8"]])] = None,
              base: Annotated[str, Body()] = "starter") -> dict[str, list[str]]:
        """Paint, and answer with the pictures' addresses when they are done. `adapters` are written NAME,
        NAME:WEIGHT or NAME:WEIGHT:DIAL=VALUE,...; `request` has a prompt and may have the other fields of an image.
        """
        if wrong := set(request) - set(FIELDS):
            raise StudioError(f"A picture has no '{min(wrong)[:40]}'; it has {', '.join(FIELDS)}.")
        if not isinstance(request.get("images", 1), int) or not 1 <= request.get("images", 1) <= 64:
            raise StudioError(f"'images' is how many, from 1 to 64, not {str(request['images'])[:40]!r}.")
        files = studio.generate(request, base=base, adapters=[parse_adapter(a) for a in adapters or ()])
        return {"images": [f"/studio/images/{f.name}" for f in files]}

    return router
