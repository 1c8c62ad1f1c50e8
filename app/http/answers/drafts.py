"""Drafts, captions, consents."""

from __future__ import annotations

from app.concepts.consent import Statement
from app.concepts.draft import Shot, Thing
from app.http.answers.common import Answer


class DraftRow(Answer):
    """A draft as the list shows it."""

    id: str
    """By which it is asked for."""
    label: str
    """What to call it."""
    changed: float
    """When it was changed last."""
    pictures: int
    """How many it has."""


class DraftTold(Answer):
    """All of a draft but its pixels."""

    id: str
    """12 hex digits."""
    label: str
    """What lists call it: its title, or the first thing's name or noun."""
    title: str
    """As it was typed."""
    changed: float
    """When it was changed last."""
    things: list[Thing]
    """All concepts that it is to teach."""
    prefix: str
    """Stands before every caption."""
    suffix: str
    """Stands behind every caption."""
    shots: list[Shot]
    """Its pictures."""
    removed: list[Shot]
    """Pictures that were taken out and can be put back."""


class PicturesTaken(Answer):
    """What came of pictures that were sent."""

    draft: DraftTold
    """With those that were taken in."""
    refused: list[str]
    """A sentence for each of the others."""


class CaptionsReplaced(Answer):
    """What find and replace did."""

    changed: int
    """Captions."""
    draft: DraftTold
    """As it is now."""


class CaptionsTaken(Answer):
    """What came of captions that were sent."""

    found: int
    """Pictures that got one."""
    notices: list[str]
    """What could not be used, a sentence each."""
    draft: DraftTold
    """As it is now."""


class CaptionsWritten(Answer):
    """What a captioner wrote."""

    written: int
    """Pictures that got a caption."""
    written_by: str
    """The captioner; empty where a person was quicker."""
    draft: DraftTold
    """As it is now."""


class CaptionWritten(Answer):
    """What a captioner wrote for one picture."""

    written_by: str
    """The captioner; empty where the picture has a caption by now, or is gone."""
    draft: DraftTold
    """As it is now."""


class MaskFound(Answer):
    """What was found of a thing in one picture."""

    found_by: str
    """What found it; empty where the thing has a mask there by now, or one of both is gone."""
    draft: DraftTold
    """As it is now."""


class Checked(Answer):
    """Something that is likely to spoil a training."""

    text: str
    """In a sentence."""
    pictures: list[str]
    """The names of the pictures that it is about; none: all."""


class Covered(Answer):
    """Whether a draft's pictures have their consent."""

    statement: Statement | None
    """The one that names all of them."""
    missing: int
    """Pictures that none names."""
    pictures: int
    """Of the draft."""


class Erased(Answer):
    """What was erased."""

    removed: list[str]
    """A line each."""
