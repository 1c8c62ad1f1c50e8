"""Triggers: rare words that the base has a token for, and nearest known words for unknown nouns."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from adapters.errors import StudioError

# Short words without a meaning: rare whole tokens of CLIP's vocabulary, then those of the starter's.
# A base takes those that are one token in its own vocabulary, so an adapter needs no file but its
# own.
CANDIDATES: tuple[str, ...] = (
    "ohwx", "nlwx", "phol", "kuvo", "zwx", "lyns", "fptw", "ajaw", "ihrt", "pafc", "olis", "yqg",
    "gwi", "rcn", "vcu", "wrf",
    *(a + b + c for c in ("k", "b", "x", "v", "zu", "mo") for b in ("o", "a", "u", "i")
      for a in ("z", "v", "k", "j", "x", "w", "q", "d")),
)
_WORDS_WITH_A_MEANING = frozenset({
    "job", "wax", "box", "fix", "dab", "wok", "dub", "wav", "dimo", "dumo", "vamo", "kazu", "dak",
    "qi", "vimo", "dik", "kib", "jav", "wix", "vix", "dix", "dox", "vox", "xbox", "zak", "jak",
})


def is_one_token(tokenizer: Any, word: str) -> bool:
    """Whether the tokenizer has `word` as a single token."""
    return len(tokenizer.tokenize(word)) == 1


def choose_trigger(tokenizer: Any, taken: Collection[str]) -> str:
    """The first free candidate that is one token of this base."""
    for word in CANDIDATES:
        if word not in taken and word not in _WORDS_WITH_A_MEANING and is_one_token(tokenizer, word):
            return word
    raise StudioError("Every trigger word of this base is taken; delete a concept, or give a word "
                      "on the command line (--trigger).")


def noun_warning(tokenizer: Any, noun: str, known: Collection[str]) -> str | None:
    """A sentence when the base has no token of its own for a word of `noun`, else None.

    `known` are the words that the base's captions used (empty: any single token is known).
    """
    for word in noun.split():
        if (word in known) if known else is_one_token(tokenizer, word):
            continue
        vocabulary = known or {t.removesuffix("</w>") for t in tokenizer.get_vocab()
                               if t.endswith("</w>") and t.removesuffix("</w>").isalpha()}
        near = difflib.get_close_matches(word, sorted(vocabulary), n=1, cutoff=0.0)
        offer = f"; the nearest word it knows is '{near[0]}'" if near else ""
        return (f"The base has never seen the word '{word}'{offer}. Training goes on with "
                f"'{noun}', a known word would learn faster.")
    return None
