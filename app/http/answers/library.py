"""Adapters and exports."""

from __future__ import annotations

from typing import Any, Literal

from app.http.answers.common import Answer, Deleted


class Adapter(Answer):
    """An adapter of the library."""

    name: str
    """Its file's and what prompts and programs call it."""
    kind: str
    """What it is: lora, tokens, perfusion, full or bundle."""
    method: str
    """How it was learned."""
    trigger: str
    """The word for a prompt."""
    triggers: dict[str, str]
    """By concept, where there are several."""
    phrases: list[str]
    """What to write in a prompt for each concept."""
    class_noun: str
    """What the concept is."""
    concepts: list[dict[str, Any]]
    """All that it holds."""
    path: str
    """The file."""
    base: str
    """The base's name."""
    family: str
    """Of the base."""
    family_title: str
    """As people write it."""
    bytes: int
    """Of the file."""
    formats: list[str]
    """That it can be exported as."""
    exports: list[dict[str, Any]]
    """`format`, `title` and whether it only comes near."""
    created: str
    """When it was learned, ISO 8601."""
    changed: float
    """When its file was."""
    tags: list[str]
    """Of a person."""
    notes: str
    """Of a person."""
    figures: dict[str, Any]
    """What was measured."""
    preview: int
    """When its picture was changed, in nanoseconds; 0 without one."""


class AdapterWhole(Adapter):
    """An adapter and where it came from."""

    base_spec: str
    """What to give as `base` to use it; '' when that is gone."""
    origin: dict[str, Any]
    """Its run or the file that it came from, its pictures by hash, base and settings."""


class Shelf(Answer):
    """A page of the library."""

    total: int
    """How many match."""
    all: int
    """How many there are."""
    tags: dict[str, int]
    """Every tag and how many have it."""
    entries: list[Adapter]
    """Those of this page."""


class Buried(Answer):
    """An adapter in the trash."""

    id: str
    """By which it is restored."""
    name: str
    """What it was called."""
    when: str
    """When it was deleted."""


class AdapterDeleted(Deleted):
    """An adapter that was put away."""

    id: str
    """In the trash, by which it is restored."""


class Export(Answer):
    """A file that was written and read back."""

    id: str
    """/studio/exports/ID has it for an hour."""
    name: str
    """The adapter's."""
    format: str
    """As what it was written."""
    download: str
    """The file's name."""
    bytes: int
    """Of the file."""
    layers: int
    """That it changes."""
    matched: int
    """Keys that were read back as they were."""
    unmatched: list[str]
    """Keys that were not."""
    max_difference: float
    """The largest between any two numbers."""
    files: list[dict[str, Any]]
    """Each by itself, where it takes several."""
    notes: list[str]
    """What is to be known when it is used."""
    approximation: dict[str, float]
    """How far it is off, where it only comes near."""


class Verified(Answer):
    """Whether a file is as the studio wrote it. An adapter's answer has what its header tells beside these fields."""

    file: str
    """Its name."""
    kind: Literal["adapter", "picture"]
    """What it is."""
    intact: bool | None
    """Whether tensors or pixels are those that were written; null: it does not say."""
    says: str
    """The same in a sentence."""
    made: dict[str, Any] | None = None
    """How a picture was made, where it says so."""
    credentials: dict[str, Any] | None = None
    """A picture's signed manifest (`valid`, `signer`, `made`), where it has one that can be read here."""
