"""Objects of which a request may bring some fields, for `/studio/openapi.json`; the studio itself checks them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from adapters.record import ConceptKind


class _Fields(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class ThingFields(_Fields):
    """One concept of a draft."""

    id: str | None = Field(None, pattern=r"^[0-9a-f]{12}$")
    """Which one is meant; none: a new one."""
    name: str | None = Field(None, max_length=64, examples=["mycat"])
    """What prompts and the file call it."""
    noun: str | None = Field(None, max_length=40, examples=["cat"])
    """What it is, in one or two words."""
    kind: ConceptKind | None = None
    """A person needs a statement of consent."""


class DraftFields(_Fields):
    """What of a draft can be set."""

    title: str | None = Field(None, max_length=80)
    """What lists call it; without one they take the first thing's name."""
    things: list[ThingFields] | None = None
    """All concepts that it is to teach."""
    prefix: str | None = Field(None, max_length=2000)
    """Stands before every caption."""
    suffix: str | None = Field(None, max_length=2000)
    """Stands behind every caption."""


class ShotFields(_Fields):
    """What of a draft's picture can be set."""

    caption: str | None = Field(None, max_length=2000)
    """What it shows; `[trigger]` is the concept's word."""
    crop: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom as shares of the upright picture; null: all of it."""
    flipped: bool | None = None
    """Left and right exchanged."""


class Pointed(_Fields):
    """What is pointed at in a picture: by one of these."""

    box: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom, as shares of the picture."""
    clicks: list[tuple[float, float, bool]] | None = None
    """x and y as shares of the picture, and whether it is on the thing."""
    word: str | None = None
    """What it is called."""


class AdapterFields(_Fields):
    """What of an adapter can be set."""

    name: str | None = None
    """Its file and all beside it are called so."""
    tags: list[str] | None = None
    """A person's words for it, all of them."""
    notes: str | None = None
    """A person's text about it."""
    kind: str | None = Field(None, pattern="^person$")
    """`person`, which is never taken back."""
