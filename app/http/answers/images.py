"""Pictures and paintings."""

from __future__ import annotations

from typing import Any

from app.http.answers.common import Answer
from app.painting.styles import Style
from pipelines.image_file import Made


class Addresses(Answer):
    """Pictures that were painted."""

    images: list[str]
    """Their addresses."""


class Picture(Answer):
    """A picture of the history."""

    file: str
    """Its name, which is its address under /studio/images."""
    favourite: bool
    """Whether it is liked."""
    sheet: bool
    """Whether it shows several, labelled."""
    made: Made | None
    """How it was made, where the file says so."""


class History(Answer):
    """A page of the history, newest first."""

    images: list[Picture]
    """The pictures."""
    more: bool
    """Whether others come behind the last."""


class Choices(Answer):
    """What pictures can be painted with."""

    adapters: list[dict[str, Any]]
    """Each with name, kind, method, phrases for a prompt, noun, base, family and dials."""
    checkpoints: list[str]
    """Names of trainings' checkpoints, which can be used like adapters."""
    samplers: list[str]
    """By A1111's names."""
    schedules: list[str]
    """Of noise levels."""
    axes: dict[str, str]
    """What a sheet can go over, with its title."""
    styles: list[Style]
    """Words for a prompt under a name."""


class Painting(Answer):
    """A painting that waits, is under way or has ended."""

    id: str
    """By which it is asked for."""
    state: str
    """`waiting`, `painting`, `done`, `failed` or `cancelled`."""
    message: str
    """Why it failed, in a sentence."""
    columns: list[str]
    """Titles."""
    rows: list[str]
    """Titles."""
    images: list[list[str]]
    """Files by row and column, '' where there is none yet."""
    sheet: str
    """The file that shows all, labelled; '' where there is none."""
    step: tuple[int, int]
    """Steps that are done of the present picture, and in all."""
    done: int
    """Pictures that are there."""
    total: int
    """Pictures in all."""
    compared: bool
    """Whether a sheet of all was asked for."""
    unseen: bool
    """Shown when it is finished and not before, since a safety checker sees it first."""
    preview: str
    """Changes with each look of the present picture; '' where there is none."""


class Source(Answer):
    """A picture to paint on, which is kept for a day."""

    source: str
    """Its id."""
