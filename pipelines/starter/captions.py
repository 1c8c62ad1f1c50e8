"""Exact captions for scenes of one object or more, with sizes, places and styles, in varied wording.

Also the words that the starter knows beside those of its captions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.starter.styles import DRAWN, STYLES, Style

Rng = np.random.Generator

# How two objects lie: (how the first is said to lie to the second, and the second to the first).
# Side by side the first is the left one, stacked it is the upper one.
RELATIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "side": (("to the left of", "left of"), ("to the right of", "right of")),
    "stack": (("above", "over"), ("below", "under")),
}
SIZES: dict[str, tuple[float, float]] = {"small": (0.3, 0.38), "big": (0.74, 0.86)}
PLURALS = frozenset({"grapes", "glasses", "trousers"})

# Words without a meaning in the world. Some captions carry one before the noun, so that the base
# learns to read past a word that it does not know: that is what a trigger is before training.
TRIGGER_WORDS: tuple[str, ...] = tuple(
    a + b + c for a in ("z", "v", "k", "j", "x", "w", "q", "d")
    for b in ("o", "a", "u", "i") for c in ("k", "b", "x", "v", "zu", "mo")
    if a + b + c not in {"job", "wax", "box", "fix", "dab", "wok", "via", "vib", "wig", "jab", "zamo"}
)

EXTRA_WORDS = (
    "a an the of and on in at to with under above below beside next photo picture image drawing "
    "painting sketch toy animal thing object fruit food plant vehicle building person man woman "
    "child baby face figure doll statue plush stuffed small big large tiny huge old new beautiful "
    "white gray grey brown gold silver wooden glass style cartoon pixel art outline pencil "
    "watercolor silhouette light sunset sunrise space underwater garden kitchen street road table "
    "floor sky sun moon cloud rain wind winter summer water river lake mountain field jungle "
    "sneaker boot can candle bowl vase glasses wolf duck goat deer panda koala hamster unicorn "
    "squirrel owl flamingo eagle pet plane ship bike van wheel door window flag box bottle "
    "hand one two three close up portrait background"
).split()


def article(phrase: str) -> str:
    """`phrase` with its indefinite article."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def noun_phrase(rng: Rng, noun: str, kind: str, colour: str | None, size: str | None = None, *,
                vary: bool = True) -> str:
    """The words for one object: size, colour, sometimes an unknown word, the noun or a wider one."""
    word = kind if vary and rng.random() < 0.04 else noun
    plural = word in PLURALS
    if vary and rng.random() < 0.12:
        word = f"{rng.choice(TRIGGER_WORDS)} {word}"
    word = " ".join(w for w in (size, colour, word) if w)
    if vary and rng.random() < 0.15:
        return f"the {word}"
    return word if plural else article(word)


def subject(rng: Rng, phrases: Sequence[str], relation: str = "side", *, vary: bool = True) -> str:
    """One object, or two in a `relation` of RELATIONS, or three in a row.

    Either of two may be named first; only with `vary` may the relation be left unsaid or reworded.
    """
    if len(phrases) == 1:
        return phrases[0]
    if len(phrases) > 2:
        return ", ".join(phrases[:-1]) + " and " + phrases[-1]
    first, second = phrases
    forward, backward = RELATIONS[relation]
    pick = int(rng.integers(len(forward))) if vary else 0
    choices = [f"{first} {forward[pick]} {second}", f"{second} {backward[pick]} {first}"]
    if relation == "side" and vary:
        choices.append(f"{first} and {second}")
    return choices[int(rng.integers(len(choices)))]


def caption(rng: Rng, shown: str, scene_phrases: Sequence[str], style: Style = STYLES[DRAWN], *,
            vary: bool = True) -> str:
    """One sentence: what is `shown` (see `subject`), where, in which style."""
    where = str(rng.choice(scene_phrases)) if vary else scene_phrases[0]
    sentence = shown if vary and rng.random() < 0.03 else f"{shown} {where}"
    if vary and style.endings and rng.random() < 0.2:
        return f"{sentence} {rng.choice(style.endings)}"
    opening = str(rng.choice(style.openings)) if vary else style.openings[0]
    return opening.format(sentence)
