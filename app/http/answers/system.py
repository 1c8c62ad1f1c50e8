"""The machine, bases, downloads."""

from __future__ import annotations

from app.http.answers.common import Answer


class Space(Answer):
    """Room on the disk or in the memory, in bytes."""

    total: int
    """In all."""
    free: int
    """Of that."""


class Part(Answer):
    """A part of the data folder."""

    name: str
    """What it holds."""
    bytes: int
    """Of all its files."""


class System(Answer):
    """This machine and the studio's switches."""

    system: str
    """Operating system and processor."""
    cores: int | None
    """Of the processor."""
    memory: Space | None
    """Where that can be known."""
    disk: Space
    """That the data folder is on."""
    home: str
    """The data folder."""
    parts: list[Part]
    """Its parts."""
    versions: dict[str, str]
    """Of Python and the packages."""
    missing: list[str]
    """What is not here, a sentence each."""
    offline: bool
    """The hub is asked for nothing."""
    told_offline: bool
    """It was started so, which no switch changes."""


class Device(Answer):
    """What computes."""

    missing: list[str]
    """What is not here, a sentence each."""
    device: str = ""
    """cuda, mps or cpu."""
    precision: str = ""
    """Of the numbers that it trains in."""


class Freed(Answer):
    """What emptying the trash did."""

    freed: int
    """Bytes."""


class BaseTold(Answer):
    """A base, its size, and whether it can be used."""

    id: str
    """By which it is taken out."""
    spec: str
    """What `base` takes everywhere: 'starter', a path or a hub id."""
    name: str
    """What lists call it."""
    form: str
    """As what it is kept: starter, folder, file or hub."""
    family: str
    """Whose networks it has."""
    licence: str
    """Its own, as the hub's model card names it; '' where nothing says it, as of a folder or a file."""
    family_licence: str
    """Of the weights that its family began with, which may not be its own."""
    added: str
    """When it was added, ISO 8601."""
    own: bool
    """Uploaded: the file is in the data folder."""
    family_title: str
    """As people write it."""
    bytes: int
    """On the disk."""
    problem: str
    """Why it cannot be used now; '' when it can."""


class HubAnswer(Answer):
    """What the hub says of a model."""

    id: str
    """OWNER/NAME."""
    licence: str
    """As its model card names it; '' when it names none."""
    licence_link: str
    """Where it can be read."""
    gated: bool
    """Its owner wants to be asked first."""
    bytes: int
    """To fetch."""
    files: list[str]
    """That are fetched."""


class HelperTold(Answer):
    """A model that some tools use where it is here."""

    id: str
    """On the hub."""
    title: str
    """What people call it."""
    good_for: str
    """What it is used for, in a sentence."""
    licence: str
    """As its model card names it; '' when it names none."""
    here: bool
    """Whether it can be used."""
    bytes: int
    """Of its weights; about that while it is not here, 0 when it is not known."""


class Download(Answer):
    """A download."""

    id: str
    """OWNER/NAME."""
    licence: str
    """As the model card names it."""
    state: str
    """`running`, `finished`, `failed` or `cancelled`."""
    done: int
    """Bytes that are here."""
    total: int
    """Bytes in all."""
    message: str
    """Why it failed, in a sentence."""
    helper: bool
    """No base, but one of /studio/helpers."""
