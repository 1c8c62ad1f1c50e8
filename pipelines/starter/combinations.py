"""Which colour-noun and noun-noun pairs the base never sees together: its test of composition."""

from __future__ import annotations

import hashlib

HELD_OUT_SHARE = 0.08


def held_out_pair(first: str, second: str) -> bool:
    """Whether two words are kept apart in training, in either order; the same in every process."""
    digest = hashlib.sha256("|".join(sorted((first, second))).encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32
