"""What stands in the way of a request, by kind: over HTTP each has a status of its own."""

from __future__ import annotations

from adapters.errors import StudioError


class Missing(StudioError):
    """There is no such thing on this data folder; with logins that is answered with 404."""


class Taken(StudioError):
    """Something else has that name; `free` is one like it that nothing has."""

    def __init__(self, free: str, message: str) -> None:
        super().__init__(message)
        self.free = free


class NotAllowed(StudioError):
    """Only an admin may do this: 403."""


class DiskQuota(StudioError):
    """A person's share of the disk is used up: 413."""


class QueueQuota(StudioError):
    """A person has as much waiting as is allowed: 429."""


class Revoked(StudioError):
    """The statement of consent that something is learned or kept under was revoked: 400, as everything else."""


class ShowsFace(StudioError):
    """What is to be no person seems to show a face; asked again with `no_face`, it is learned: 409."""


STATUS: dict[type[StudioError], int] = {NotAllowed: 403, ShowsFace: 409, DiskQuota: 413, QueueQuota: 429}
"""HTTP statuses; every other StudioError is 400."""
