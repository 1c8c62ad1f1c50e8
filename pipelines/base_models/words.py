"""The words that a base is known to understand. Imports no torch."""

from __future__ import annotations

import functools
import json

from pipelines.shipped import STARTER


@functools.cache
def known_words(family: str) -> frozenset[str]:
    """The starter's caption words; empty for bases whose captions nobody listed."""
    if family != "starter":
        return frozenset()
    return frozenset(json.loads((STARTER / "words.json").read_text("utf-8")))
