r"""Prompts as A1111 writes them: weights, `BREAK`, and `<lora:name:weight>`. Imports no torch.

    (x) = 1.1    (x:1.3) = 1.3    [x] = 1/1.1    ((x)) = 1.21    \( \) \[ \] \\ stand for themselves

What is opened and never closed counts to the end, a bracket that closes nothing is a letter, as in
`modules/prompt_parser.py` of AUTOMATIC1111/stable-diffusion-webui, whose rules these are.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from adapters.errors import StudioError

ROUND, SQUARE = 1.1, 1 / 1.1
MAX_WEIGHT = 10.0
_TOKEN = re.compile(r"\\[()\[\]\\]|\\|\(|\[|:\s{0,20}([+-]?[.\d]{1,20})\s{0,20}\)|\)|]|[^\\()\[\]:]+|:")
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_LORA = re.compile(r"<lora:([^<>:]{1,200})(?::([^<>]{0,200}))?>", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """A stretch of a prompt and how much its words count; 1 is as ever."""

    text: str
    weight: float = 1.0


def parse_weights(prompt: str) -> list[list[Part]]:
    """The chunks between `BREAK`s, each with its parts; neighbours of one weight are one part.

    A prompt without any of the marks is one chunk of one part, its own text. Raises StudioError for a weight
    that is no number from -10 to 10, or brackets that multiply to more.
    """
    parts: list[Part | None] = []  # None is a BREAK
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def weigh(start: int, factor: float) -> None:
        parts[start:] = [p and replace(p, weight=p.weight * factor) for p in parts[start:]]

    for found in _TOKEN.finditer(prompt):
        token, number = found[0], found[1]
        if token[0] == "\\":
            parts.append(Part(token[1:] or token))
        elif token in opened:
            opened[token].append(len(parts))
        elif number is not None and opened["("]:
            weigh(opened["("].pop(), _weight(number, token))
        elif token == ")" and opened["("]:
            weigh(opened["("].pop(), ROUND)
        elif token == "]" and opened["["]:
            weigh(opened["["].pop(), SQUARE)
        else:
            first, *others = _BREAK.split(token)
            parts += [Part(first), *(p for text in others for p in (None, Part(text)))]
    for bracket, factor in (("(", ROUND), ("[", SQUARE)):
        for start in opened[bracket]:
            weigh(start, factor)
    return _chunks(parts)


def _weight(number: str, token: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not abs(weight) <= MAX_WEIGHT:
        raise StudioError(f"'{token.strip()[:30]}' in the prompt is no weight; write (words:1.3) with a number from "
                          f"-{MAX_WEIGHT:g} to {MAX_WEIGHT:g}.")
    return weight


def _chunks(parts: list[Part | None]) -> list[list[Part]]:
    chunks: list[list[Part]] = [[]]
    for part in parts:
        if part and not abs(part.weight) <= MAX_WEIGHT:
            raise StudioError(f"The brackets around '{part.text.strip()[:40]}' multiply to a weight beyond "
                              f"{MAX_WEIGHT:g}; take some away.")
        if part is None:
            chunks.append([])
        elif part.text and chunks[-1] and chunks[-1][-1].weight == part.weight:
            chunks[-1][-1] = replace(part, text=chunks[-1][-1].text + part.text)
        elif part.text:
            chunks[-1].append(part)
    return chunks


def take_loras(prompt: str) -> tuple[str, list[tuple[str, float]]]:
    """The prompt without its `<lora:name:weight>` tags, and these; the weight is 1 where none is given.

    Blanks that a tag leaves are closed up, so that a prompt with tags is painted as the one without. Raises
    StudioError for a weight that is no number from -10 to 10.
    """
    found: list[tuple[str, float]] = []
    for tag in _LORA.finditer(prompt):
        try:
            weight = float(tag[2]) if tag[2] is not None else 1.0
        except ValueError:
            weight = math.nan
        if not abs(weight) <= MAX_WEIGHT:
            raise StudioError(f"'{tag[0][:60]}' has no sensible weight; write <lora:name:0.8> with a number from "
                              f"-{MAX_WEIGHT:g} to {MAX_WEIGHT:g}.")
        found.append((tag[1].strip(), weight))
    if not found:
        return prompt, found
    bare = _LORA.sub("\0", prompt)
    return re.sub(r" *(?:\0 *)+", lambda m: " " if m.end() < len(bare) and m.start() else "", bare), found
