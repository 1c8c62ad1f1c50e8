"""What the pictures of a trial are asked to show, so that the scene judge can say what came out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.starter.reading import Reading
from pipelines.starter.scenes import SCENES
from pipelines.starter.styles import DRAWN, STYLES
from pipelines.wording import with_article

Group = Literal["plain", "styled", "beside", "together", "class"]

PLACES = ("beach", "snow", "city", "forest", "desert", "night", "sea", "mountains")
PAINTED = ("pixel", "watercolor", "pencil")
COMPANIONS = ("pumpkin", "snowman", "rocket", "castle", "guitar", "balloon", "teapot", "cactus")
"""Classes of one individual each, which the base paints surely: what is measured is the method beside them."""


@dataclass(frozen=True)
class Ask:
    """One picture: its prompt, its seed, and what should be in it.

    `shows` are the numbers of the concepts that the prompt names; `companion` is a class beside them.
    """

    text: str
    seed: int
    group: Group
    shows: tuple[int, ...]
    scene: str
    style: str = DRAWN
    companion: str | None = None

    def verdict(self, said: Reading) -> dict[str, bool]:
        """What came out of all that was asked beside the concepts themselves."""
        found = {"scene": said.scene == self.scene}
        if self.style != DRAWN:
            found["style"] = said.style == self.style
        if self.companion:
            found["companion"] = self.companion in said.nouns(2 if len(self.shows) == 1 else len(self.shows) + 1)
        return found

    def margins(self, said: Reading) -> dict[str, float]:
        """How clearly it came out, in the judge's logits: a scene or style above the next best, a companion at all."""
        found = {"scene": said.scene_margin(self.scene)}
        if self.style != DRAWN:
            found["style"] = said.style_margin(self.style)
        if self.companion:
            found["companion"] = said.noun_logit(self.companion)
        return {k: round(v, 3) for k, v in found.items()}


def _sentence(shown: str, scene: str, style: str = DRAWN) -> str:
    return STYLES[style].openings[0].format(f"{shown} {SCENES[scene].phrases[0]}")


def single(phrase: str, noun: str) -> list[Ask]:
    """24 pictures of one concept: 8 plain, 8 in a style, 8 beside another thing; then 4 of its class alone."""
    shown = with_article(phrase)
    asks = [Ask(_sentence(shown, p), n, "plain", (0,), p) for n, p in enumerate(PLACES)]
    for n, place in enumerate(PLACES):
        style = PAINTED[n % len(PAINTED)]
        asks.append(Ask(_sentence(shown, place, style), 100 + n, "styled", (0,), place, style))
    others = [c for c in COMPANIONS if c != noun]
    for n, place in enumerate(PLACES):
        other = others[n % len(others)]
        beside = f"{shown} to the left of {with_article(other)}"
        asks.append(Ask(_sentence(beside, place), 200 + n, "beside", (0,), place, companion=other))
    return asks + [Ask(_sentence(with_article(noun), p), 300 + n, "class", (), p) for n, p in enumerate(PLACES[:4])]


def several(phrases: Sequence[str]) -> list[Ask]:
    """Each concept alone in 4 places, then every pair in 4, then all three of three in 4."""
    asks = []
    for number, phrase in enumerate(phrases):
        for n, place in enumerate(PLACES[:4]):
            asks.append(Ask(_sentence(with_article(phrase), place), 10 * number + n, "plain", (number,), place))
    for count in range(2, len(phrases) + 1):
        for k, chosen in enumerate(itertools.combinations(range(len(phrases)), count)):
            first, *rest = (with_article(phrases[c]) for c in chosen)
            shown = f"{first} to the left of {rest[0]}" if count == 2 else f"{first}, {rest[0]} and {rest[1]}"
            for n, place in enumerate(PLACES[-4:]):
                asks.append(Ask(_sentence(shown, place), 100 * count + 10 * k + n, "together", chosen, place))
    return asks
