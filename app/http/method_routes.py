"""The methods over HTTP: what each is good for, its settings with their tooltips, and a preset's values.

All of it comes from the configurations, so a new method is in the browser by itself.
"""

from __future__ import annotations

from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt
from fastapi import APIRouter
from pydantic.fields import FieldInfo

from app.http.answers import jobs as answers
from app.http.described import tells
from app.studio import Studio
from pipelines.base_models.families import find_family
from pipelines.base_models.locate import locate
from pipelines.methods import METHODS, config_class
from pipelines.methods.common import MEMORY, PRESET_NAMES, resolve
from pipelines.methods.describe import own_fields

_PRESETS = {"fast": "Fast preview", "balanced": "Balanced", "best": "Best"}
_LIMITS = ((Ge, "ge", "min"), (Gt, "gt", "above"), (Le, "le", "max"), (Lt, "lt", "below"))


def routes(studio: Studio) -> APIRouter:
    """All routes under /studio/methods."""
    router = APIRouter(prefix="/studio/methods", tags=["methods"])

    @router.get("", **tells(answers.Methods))
    def every() -> dict[str, Any]:
        """Every method with its settings, the presets' names, and the graphics memories in GB that there are
        settings for."""
        return {"methods": [describe(m) for m in METHODS], "memory": MEMORY,
                "presets": [{"name": p, "label": _PRESETS.get(p, p)} for p in PRESET_NAMES]}

    @router.get("/{method}/settings", response_description="Every setting by name, with its value.")
    def settings(method: str, base: str = "starter", preset: str = "balanced", memory: str = "") -> dict[str, Any]:
        """The values that a preset gives a method's settings on a base; `memory` is the graphics card's in GB."""
        family = find_family(locate(base), offline=True)
        return resolve(method[:40], family, preset, memory or None).model_dump(exclude={"method"})

    return router


def describe(method: str) -> dict[str, Any]:
    """A method for the page: plain words, the paper, and its settings, its own before those that all have."""
    config, own = config_class(method), own_fields(method)
    fields = {n: f for n, f in config.model_fields.items() if n != "method"}
    names = [*(n for n in ("steps", "seed") if n in fields), *(n for n in own if n not in ("steps", "seed"))]
    return {"method": method, "title": config.title, "paper": " ".join((config.__doc__ or "").split()),
            "several": config.several, "needs_masks": config.needs_masks,
            "fields": [_field(n, fields[n], n in own) for n in dict.fromkeys([*names, *fields])]}


def _field(name: str, field: FieldInfo, own: bool) -> dict[str, Any]:
    choices = [c for c in get_args(field.annotation) if isinstance(c, str)]
    plain = [t for t in (field.annotation, *get_args(field.annotation)) if t in (bool, int, float, str)]
    names: dict[Any, str] = {bool: "yes-no", int: "whole", float: "number", str: "text"}
    kind = "choice" if choices else names[plain[0]] if plain else "text"
    limits = {word: getattr(m, key) for mark, key, word in _LIMITS for m in field.metadata if isinstance(m, mark)}
    label = field.title or name.replace("_", " ").capitalize()
    return {"name": name, "label": label, "kind": kind, "choices": choices, "own": own,
            "tip": " ".join((field.description or "").split()), **limits}
