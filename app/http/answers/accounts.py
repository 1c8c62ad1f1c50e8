"""Accounts and what is shared between them."""

from __future__ import annotations

from app.http.answers.common import Answer


class Used(Answer):
    """What there is of something, and how much there may be."""

    used: int
    """Bytes of disk, or jobs that have not ended."""
    quota: int
    """The most."""


class Account(Answer):
    """A person's account."""

    name: str
    """To log in with."""
    role: str
    """`admin` or `user`."""
    created: float
    """When it was made."""
    disk: Used
    """Of what it made."""
    queue: Used
    """Of the queue."""


class Share(Answer):
    """An adapter that somebody else may paint with."""

    adapter: str
    """Its name in the owner's library."""
    to: str
    """An account, or '' for everyone."""


class Lent(Answer):
    """An adapter of somebody else."""

    called: str
    """NAME@OWNER, as prompts and programs write it."""
    kind: str
    """What it is: lora, tokens, perfusion, full or bundle."""
    method: str
    """How it was learned."""
    phrases: list[str]
    """What to write in a prompt for each concept."""
    family: str
    """Of its base."""
    bytes: int
    """Of its file."""
