"""How the studio's addresses are described in `/studio/openapi.json`: summaries, pictures and files, bodies."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, FastAPI
from fastapi.responses import FileResponse
from pydantic import BaseModel

_BINARY = {"type": "string", "format": "binary"}


def _file(kind: str, what: str) -> dict[str, Any]:
    return {"response_class": FileResponse,
            "responses": {200: {"description": what, "content": {kind: {"schema": _BINARY}}}}}


PICTURE: dict[str, Any] = _file("image/png", "The picture.")
"""For a route that answers with a picture."""
FILE: dict[str, Any] = _file("application/octet-stream", "The file.")
"""For a route that answers with a file to keep."""


def tells(answer: Any) -> dict[str, Any]:
    """For a route that answers with JSON of this form, which is described and not checked once more on its way."""
    return {"response_model": None, "responses": {200: {"model": answer, "description": "Done."}}}


def body_is_file(what: str) -> dict[str, Any]:
    """For a route whose request body is a file itself, as `openapi_extra`."""
    return {"requestBody": {"required": True, "description": what,
                            "content": {"application/octet-stream": {"schema": _BINARY}}}}


class _As:
    """Describes an object by a model, while the studio checks it itself: what is wrong is one sentence of its own."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def __get_pydantic_json_schema__(self, _: Any, handler: Any) -> Any:
        return handler(self.model.__pydantic_core_schema__)


def fields_of(model: type[BaseModel], **about: Any) -> Any:
    """The type of a body parameter that has some of a model's fields; `about` goes to `Body`."""
    return Annotated[dict[str, Any], _As(model), Body(**about)]


def text(what: str, *examples: str, **more: Any) -> Any:
    """The type of a text in a body, with what it is."""
    return Annotated[str, Body(description=what, **({"examples": list(examples)} if examples else {}), **more)]


BASE = text("The base: `spec` of one in /studio/bases.", "starter")
METHODS = Annotated[list[str], Body(description="Methods by name, as /studio/methods lists them.",
                                    examples=[["lora", "textual-inversion"]])]
TURN = text("Where to: `up`, `down`, `first` or `last`.", "first", embed=True)
NO_FACE = Annotated[bool, Body(description="Somebody has looked: what is called no person shows none.")]
ADAPTERS = Annotated[list[str] | None, Body(description="Adapters, each NAME, NAME:WEIGHT or "
                                                        "NAME:WEIGHT:DIAL=VALUE,...", examples=[["mycat:0.8"]])]


def summarise(app: FastAPI) -> None:
    """Give each address a summary in the document: the first sentence of what it says of itself."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        for item in document["paths"].values():
            for verb in item.values():
                verb["summary"] = " ".join(verb["description"].split()).partition(". ")[0].rstrip(".")
        return document

    app.openapi = openapi  # type: ignore[method-assign]
