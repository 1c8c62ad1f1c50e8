"""The words that a base is known to understand. Imports no torch."""

from __future__ import annotations

import functools
import json

from pipelines.shipped import STARTER
from pipelines.starter.glyphs import Catalogue


@functools.cache
def known_words(family: str) -> frozenset[str]:
    """The starter's caption words; empty for bases whose captions nobody listed."""
    if family != "starter":
        return frozenset()
    return frozenset(json.loads((STARTER / "words.json").read_text("utf-8")))


@functools.cache
def known_nouns(family: str) -> frozenset[str]:
    """The things among them ('teddy bear', and 'animal'); empty where nobody listed the words."""
    if family != "starter":
        return frozenset()
    catalogue = Catalogue()
    return frozenset({*catalogue.nouns, *(i.kind for i in catalogue.trainable())})
