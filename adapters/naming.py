"""Names of concepts: one string for file stem, prompt and trigger."""

from __future__ import annotations

import re

from adapters.errors import StudioError

MAX_LENGTH = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# Windows cannot have files of these names, whatever their ending.
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}


def check_name(name: str) -> str:
    """Return `name` stripped, or raise StudioError if it cannot be a file stem everywhere."""
    name = name.strip()
    if not name:
        raise StudioError("The concept has no name; type one, such as 'mycat'.")
    if len(name) > MAX_LENGTH or not _NAME.fullmatch(name) or name.lower() in _RESERVED:
        raise StudioError(
            f"{name[:40]!r} cannot be a name; use 1 to {MAX_LENGTH} letters, digits, '-' or '_', "
            "starting with a letter or digit, such as 'mycat'."
        )
    return name


def check_noun(noun: str) -> str:
    """Return a class noun in lower case with single spaces, or raise StudioError."""
    noun = " ".join(noun.lower().split())
    if not noun:
        raise StudioError("The class noun is empty; say what the thing is in a word, such as 'dog'.")
    if len(noun) > 40 or not re.fullmatch(r"[\w' -]+", noun):
        raise StudioError(
            f"{noun[:40]!r} cannot be a class noun; use a plain word or two, such as 'dog' or "
            "'teddy bear'."
        )
    return noun
