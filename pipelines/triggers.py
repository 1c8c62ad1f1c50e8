"""Triggers: rare words that the base has a token for, and the nearest known words for nouns that it has none for."""

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


def noun_warning(tokenizer: Any, noun: str, known: Collection[str], nouns: Collection[str] = ()) -> str | None:
    """A sentence when a word of `noun` is new to the base, or several tokens of it, else None.

    `known` are the words that the base's captions used (empty: nobody listed them, and any single token is known),
    `nouns` the things among them. Learned words start at the mean of their noun's tokens and Perfusion's keys are
    those of the last one, so a word that is read in pieces says little.
    """
    words = noun.split()
    for word in words:
        pieces = len(tokenizer.tokenize(word))
        if pieces == 1 and (not known or word in known):
            continue
        near = _nearest(word, nouns if nouns and word == words[-1] else known or _whole_words(tokenizer))
        offer = f", the nearest in spelling that it knows is '{near}'" if near else ""
        why = f"never saw the word '{word}'" if known and word not in known else f"reads '{word}' as {pieces} pieces"
        return f"The base {why}{offer}; training goes on with '{noun}', a known word would be learned faster."
    return None


def _whole_words(tokenizer: Any) -> set[str]:
    """What the vocabulary has as one token and looks like a word: shorter ones, and other letters, are mostly parts."""
    ended = (t.removesuffix("</w>") for t in tokenizer.get_vocab() if t.endswith("</w>"))
    return {t for t in ended if len(t) > 2 and t.isascii() and t.isalpha()}


def _nearest(word: str, among: Collection[str]) -> str:
    """The other one of `among` that is spelled most alike, '' where there is none."""
    return next(iter(difflib.get_close_matches(word, sorted({*among} - {word}), n=1, cutoff=0.0)), "")
