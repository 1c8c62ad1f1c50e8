"""Passwords as argon2id hashes; a name that nobody has costs as much work as one that somebody has."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from adapters.errors import StudioError

SHORTEST, LONGEST = 10, 1000
_HASHER = PasswordHasher()  # argon2id as RFC 9106 recommends where memory is scarce: 64 MiB, 3 passes
_NOBODY = _HASHER.hash("nobody has this password")
_AT_ONCE = threading.BoundedSemaphore(2)  # 64 MiB each: many logins at once take turns, not all of the memory


def hashed(password: str) -> str:
    """What is kept of a password. Raises StudioError when it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise StudioError(f"A password has {SHORTEST} to {LONGEST} letters, this one has {len(password)}; choose "
                          "another.")
    with _AT_ONCE:
        return _HASHER.hash(password)


def fits(password: str, kept: str | None) -> bool:
    """Whether a password is the one that was kept; None, for a name that nobody has, is as much work and False."""
    with _AT_ONCE:
        try:
            _HASHER.verify(kept or _NOBODY, password[:LONGEST])
        except (VerificationError, InvalidHashError):
            return False
    return kept is not None
