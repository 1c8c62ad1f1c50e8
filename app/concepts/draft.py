"""A draft as it is kept: its things, its pictures and what is typed of them; all but the pixels."""

from __future__ import annotations

import secrets
from typing import Annotated, TypeVar

from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from adapters.errors import StudioError
from adapters.record import ConceptKind
from app.errors import Missing

MOST_CONCEPTS = 6
Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
Words = Annotated[str, StringConstraints(max_length=2000)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True, use_attribute_docstrings=True)


M = TypeVar("M", bound=_Model)


class Thing(_Model):
    """One concept to be: its name and what it is, both as typed so far."""

    id: Id = Field(default_factory=lambda: secrets.token_hex(6))
    """12 hex digits."""
    name: Annotated[str, StringConstraints(max_length=64)] = ""
    """What prompts and the file call it."""
    noun: Annotated[str, StringConstraints(max_length=40)] = ""
    """What it is, in one or two words."""
    kind: ConceptKind = "object"
    """A person needs a statement of consent."""


class Shot(_Model):
    """One picture."""

    id: Id
    """12 hex digits."""
    name: Annotated[str, StringConstraints(max_length=200)]
    """Of the file that it came as."""
    width: int = Field(gt=0)
    """Pixels, upright and uncropped."""
    height: int = Field(gt=0)
    """Pixels, upright and uncropped."""
    sha256: str
    """Of the file that it came as."""
    caption: Words = ""
    """What it shows; `[trigger]` is the concept's word."""
    crop: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom as shares of the upright picture; none: all of it."""
    flipped: bool = False
    """Left and right exchanged."""
    masks: tuple[Id, ...] = ()
    """The ids of the things that have one."""

    @field_validator("crop")
    @classmethod
    def _within(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is None:
            return None
        left, top, right, bottom = value
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError("a crop goes from 0 to 1, left before right and top before bottom")
        return None if value == (0, 0, 1, 1) else value


class Draft(_Model):
    """Everything of a draft but its pixels."""

    id: Id
    """12 hex digits."""
    title: Annotated[str, StringConstraints(max_length=80)] = ""
    """What lists call it; without one they take the first thing's name."""
    changed: float = 0.0
    """Seconds since 1970."""
    things: Annotated[tuple[Thing, ...], Field(min_length=1, max_length=MOST_CONCEPTS)] = Field(
        default_factory=lambda: (Thing(),))
    """All concepts that it is to teach."""
    prefix: Words = ""
    """Stands before every caption."""
    suffix: Words = ""
    """Stands behind every caption."""
    shots: tuple[Shot, ...] = ()
    """Its pictures."""
    removed: tuple[Shot, ...] = ()
    """Pictures that were taken out and can be put back."""

    @property
    def label(self) -> str:
        """What to call it in a list."""
        return self.title or self.things[0].name or self.things[0].noun or "untitled"

    def shot(self, id: str) -> Shot:
        """One of its pictures; StudioError when it is not in it."""
        for found in self.shots:
            if found.id == id:
                return found
        raise Missing("This picture is not in the draft any more; reload the page.")

    def caption_of(self, shot: Shot) -> str:
        """The caption as it is learned, with what goes before and after all of them; '' when there is none at all."""
        return "".join((self.prefix, shot.caption, self.suffix)).strip()


def checked(model: M, /, **fields: object) -> M:
    """The model with other fields. Raises StudioError when one of them cannot be."""
    try:
        return type(model).model_validate({**model.model_dump(), **fields})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StudioError(f"'{where}' cannot be set ({first['msg']}); correct it.") from error


def framed(image: Image.Image, shot: Shot) -> Image.Image:
    """A picture or mask, cropped and flipped as its shot says."""
    if shot.crop:
        left, top, right, bottom = shot.crop
        w, h = image.size
        image = image.crop((round(left * w), round(top * h), round(right * w), round(bottom * h)))
    return ImageOps.mirror(image) if shot.flipped else image
