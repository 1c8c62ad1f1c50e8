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

Group = Literal["plain", "styled", "beside", "together", "free", "class"]

PLACES = ("beach", "snow", "city", "forest", "desert", "night", "sea", "mountains")
PAINTED = ("pixel", "watercolor", "pencil")
COMPANIONS = ("pumpkin", "snowman", "rocket", "castle", "guitar", "balloon", "teapot", "cactus")
"""Classes of one individual each, which the base paints surely: what is measured is the method beside them."""


@dataclass(frozen=True)
class Ask:
    """One picture: its prompt, its seed, and what should be in it.

    `shows` are the numbers of the concepts that the prompt names; `companion` is a class beside them. A "free" picture
    is asked for in no scene ('').
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
        found = {"scene": said.scene == self.scene} if self.scene else {}
        if self.style != DRAWN:
            found["style"] = said.style == self.style
        if self.companion:
            found["companion"] = self.companion in said.nouns(2 if len(self.shows) == 1 else len(self.shows) + 1)
        return found

    def margins(self, said: Reading) -> dict[str, float]:
        """How clearly it came out, in the judge's logits: a scene or style above the next best, a companion at all."""
        found = {"scene": said.scene_margin(self.scene)} if self.scene else {}
        if self.style != DRAWN:
            found["style"] = said.style_margin(self.style)
        if self.companion:
            found["companion"] = said.noun_logit(self.companion)
        return {k: round(v, 3) for k, v in found.items()}


def _sentence(shown: str, scene: str, style: str = DRAWN) -> str:
    return STYLES[style].openings[0].format(f"{shown} {SCENES[scene].phrases[0]}" if scene else shown)


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


def several(phrases: Sequence[str], learned_in: str = "") -> list[Ask]:
    """12 pictures of each concept alone (4 plain, 3 in a style, 3 beside another thing, 2 in no scene), 4 of every pair
    in both orders, 4 of all three. No prompt names the scene that they were `learned_in`."""
    places, asks = [p for p in PLACES if p != learned_in], []
    for number, phrase in enumerate(phrases):
        asks += _alone(number, with_article(phrase), places)
    for count in range(2, len(phrases) + 1):
        for k, chosen in enumerate(itertools.combinations(range(len(phrases)), count)):
            for n, place in enumerate(places[-4:]):
                order = chosen if n % 2 == 0 else chosen[::-1]
                first, *rest = (with_article(phrases[c]) for c in order)
                shown = f"{first} to the left of {rest[0]}" if count == 2 else f"{first}, {rest[0]} and {rest[1]}"
                asks.append(Ask(_sentence(shown, place), 1000 * count + 10 * k + n, "together", order, place))
    return asks


def _alone(number: int, shown: str, places: Sequence[str]) -> list[Ask]:
    seed, me = 100 * number, (number,)
    asks = [Ask(_sentence(shown, p), seed + n, "plain", me, p) for n, p in enumerate(places[:4])]
    for n, (style, place) in enumerate(zip(PAINTED, places[-len(PAINTED):], strict=True)):
        asks.append(Ask(_sentence(shown, place, style), seed + 10 + n, "styled", me, place, style))
    for n, (other, place) in enumerate(zip(COMPANIONS[:3], places, strict=False)):
        beside = f"{shown} to the left of {with_article(other)}"
        asks.append(Ask(_sentence(beside, place), seed + 20 + n, "beside", me, place, companion=other))
    return asks + [Ask(_sentence(shown, ""), seed + 30 + n, "free", me, "") for n in range(2)]
