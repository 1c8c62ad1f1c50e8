"""The order of what waits, and how one of it is given another turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar, cast, get_args

from adapters.errors import StudioError

Turn = Literal["up", "down", "first", "last"]
T = TypeVar("T")


def as_turn(where: str) -> Turn:
    """What a person asked for. Raises StudioError when it is none of these."""
    if where not in get_args(Turn):
        raise StudioError(f"What waits moves {', '.join(get_args(Turn))}, not '{where[:20]}'; choose one of these.")
    return cast(Turn, where)


def moved(line: Sequence[T], thing: T, where: Turn) -> list[T]:
    """The line with `thing`, which is in it, one turn further or at an end."""
    at = line.index(thing)
    rest = [*line[:at], *line[at + 1:]]
    rest.insert({"up": max(at - 1, 0), "down": at + 1, "first": 0, "last": len(rest)}[where], thing)
    return rest
