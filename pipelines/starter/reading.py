"""What the scene judge reads in pictures, against what a prompt asked for."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from pipelines.starter.judge import REGIONS, SceneJudge, prepare
from pipelines.starter.world import Relation, Spec

FIGURES = ("class", "scene", "colour", "style", "both", "sides", "stacks")


@dataclass(frozen=True)
class Wanted:
    """What a caption asks for: nouns and colours from left to right, or from the top."""

    nouns: tuple[str, ...]
    colours: tuple[str | None, ...]
    scene: str
    style: str
    relation: Relation

    @classmethod
    def of(cls, spec: Spec) -> Wanted:
        """What `spec`'s caption says."""
        return cls(tuple(p.individual.noun for p in spec.placements), tuple(p.colour for p in spec.placements),
                   spec.scene, spec.style, spec.relation)


@dataclass(frozen=True)
class Reading:
    """The judge's logits for one picture, with its words: `objects` [nouns, 4], `paint` [colours, 4], `place`
    [scenes], `manner` [styles]."""

    judge: SceneJudge
    objects: torch.Tensor
    paint: torch.Tensor
    place: torch.Tensor
    manner: torch.Tensor

    @property
    def scene(self) -> str:
        """The clearest scene."""
        return self.judge.scenes[int(self.place.argmax())]

    @property
    def style(self) -> str:
        """The clearest style."""
        return self.judge.styles[int(self.manner.argmax())]

    def scene_margin(self, scene: str) -> float:
        """By how much the logit of a scene is above that of the next best; negative when another is clearer."""
        return _margin(self.place, self.judge.scenes.index(scene))

    def style_margin(self, style: str) -> float:
        """The same of a style."""
        return _margin(self.manner, self.judge.styles.index(style))

    def noun_logit(self, noun: str) -> float:
        """How surely a class is anywhere in the picture: the log odds."""
        return float(self.objects[self.judge.nouns.index(noun)].max())

    def nouns(self, count: int) -> set[str]:
        """The `count` classes that are clearest anywhere in the picture."""
        return {self.judge.nouns[int(n)] for n in self.objects.amax(-1).topk(count).indices}

    def colour(self) -> str:
        """The clearest colour."""
        return self.judge.colours[int(self.paint.amax(-1).argmax())]

    def lies(self, first: str, second: str, relation: Relation) -> bool:
        """Whether `first` is on the left of (or above) `second` rather than the other way round."""
        a, b = (self.objects[self.judge.nouns.index(noun)] for noun in (first, second))
        near, far = (REGIONS.index(r) for r in (("left", "right") if relation == "side" else ("top", "bottom")))
        return bool(a[near] + b[far] > a[far] + b[near])


def _margin(logits: torch.Tensor, wanted: int) -> float:
    others = torch.cat((logits[:wanted], logits[wanted + 1:]))
    return float(logits[wanted] - others.max())


@torch.no_grad()
def read(judge: SceneJudge, images: list[Image.Image]) -> list[Reading]:
    """What `judge` sees in each picture."""
    found = []
    for start in range(0, len(images), 64):
        said = judge(prepare(images[start:start + 64]))
        for n in range(len(said["place"])):
            found.append(Reading(judge, *(said[k][n] for k in ("objects", "paint", "place", "style"))))
    return found


def outcomes(wanted: Sequence[Wanted], said: Sequence[Reading]) -> dict[str, list[bool]]:
    """Picture by picture, what came out right, each figure over the pictures it can be taken on.

    `class` and `colour`: single objects. `both`: pairs, the two clearest classes. `sides`, `stacks`: pairs
    of that relation whose objects are both there.
    """
    found: dict[str, list[bool]] = {k: [] for k in FIGURES}
    for want, see in zip(wanted, said, strict=True):
        found["scene"].append(see.scene == want.scene)
        found["style"].append(see.style == want.style)
        there = see.nouns(len(want.nouns)) == set(want.nouns)
        if len(want.nouns) == 1:
            found["class"].append(there)
            if want.colours[0]:
                found["colour"].append(see.colour() == want.colours[0])
            continue
        found["both"].append(there)
        if there:
            first, second = want.nouns
            found["sides" if want.relation == "side" else "stacks"].append(see.lies(first, second, want.relation))
    return found


def rates(wanted: Sequence[Wanted], said: Sequence[Reading]) -> dict[str, float | None]:
    """The mean of each of `outcomes`; None where there was nothing to take it on."""
    return {k: statistics.fmean(v) if v else None for k, v in outcomes(wanted, said).items()}


def interval(right: Sequence[bool]) -> tuple[float, float] | None:
    """Wilson's 95% interval of a rate (1927); None without a trial."""
    if not (n := len(right)):
        return None
    p, z = statistics.fmean(right), 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return round(max(middle - half, 0.0), 4), round(min(middle + half, 1.0), 4)
