"""Exact captions for drawn scenes, in varied wording, and the words that the starter knows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Rng = np.random.Generator

OPENINGS = ("a photo of {}", "a picture of {}", "an image of {}", "a drawing of {}", "{}")
SIDES = {"left": "to the left of", "right": "to the right of"}

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


def noun_phrase(rng: Rng, noun: str, kind: str, colour: str | None, *, vary: bool = True) -> str:
    """The words for one object: colour, sometimes an unknown word, the noun or a wider one."""
    word = kind if vary and rng.random() < 0.04 else noun
    if vary and rng.random() < 0.12:
        word = f"{rng.choice(TRIGGER_WORDS)} {word}"
    if colour:
        word = f"{colour} {word}"
    if noun == "grapes":
        return word
    return article(word) if not vary or rng.random() < 0.85 else f"the {word}"


def caption(rng: Rng, phrases: Sequence[str], scene_phrases: Sequence[str], *,
            vary: bool = True) -> str:
    """One sentence for one or two objects (`phrases` from left to right) in a scene."""
    if len(phrases) == 1:
        subject = phrases[0]
    else:
        left, right = phrases
        subject = (f"{left} and {right}", f"{left} {SIDES['left']} {right}",
                   f"{right} {SIDES['right']} {left}")[int(rng.integers(3)) if vary else 1]
    opening = str(rng.choice(OPENINGS)) if vary else OPENINGS[0]
    where = str(rng.choice(scene_phrases)) if vary else scene_phrases[0]
    if vary and rng.random() < 0.03:
        return opening.format(subject)
    return f"{opening.format(subject)} {where}"
