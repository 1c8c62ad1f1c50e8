"""How a paper's claim came out: a figure with a part of a method and without it, sample by sample."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.lab.measures import Score, score
from pipelines.lab.series import Ablation
from pipelines.lab.tables import LEARNED, TITLES, figures
from pipelines.lab.trials import Lab

Figures = Mapping[str, float | None]
LEVELS = 21  # likenesses at which two curves are read


@dataclass(frozen=True)
class Held:
    """How a claim came out: the figure with and without the part, sample by sample."""

    figure: str
    whole: Score
    without: Score
    difference: Score
    right: int
    samples: int
    beside: dict[str, float]

    @property
    def comes_out(self) -> bool:
        """In the claimed direction on at least five of six samples."""
        return 6 * self.right >= 5 * self.samples

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"figure": self.figure, "with": self.whole.as_dict(), "without": self.without.as_dict(),
                "difference": self.difference.as_dict(), "in_the_claimed_direction": self.right,
                "samples": self.samples, "others": self.beside}


def held(figure: str, pairs: Sequence[tuple[Figures, Figures]]) -> Held:
    """The figure over pairs (whole, without a part), one of each sample, and the mean differences of the others."""
    values = [(float(a[figure] or 0), float(b[figure] or 0)) for a, b in pairs]
    beside = {}
    for other in LEARNED:
        apart = [float(a[other] or 0) - float(b[other] or 0) for a, b in pairs if a.get(other) is not None]
        if other != figure and apart:
            beside[other] = round(statistics.fmean(apart), 4)
    return Held(figure, score([a for a, _ in values]), score([b for _, b in values]),
                score([a - b for a, b in values]), sum(a > b for a, b in values), len(values), beside)


def alike(whole: Sequence[Figures], without: Sequence[Figures]) -> tuple[Figures, Figures] | None:
    """Two curves of one sample (the same concept under several dials) read at the same likenesses.

    Each figure is joined up linearly over `identity`, and its mean is taken over LEVELS likenesses that both curves
    reach. None where no likeness is reached by both.
    """
    sides = [sorted(curve, key=lambda f: float(f["identity"] or 0)) for curve in (whole, without)]
    at = [[float(f["identity"] or 0) for f in curve] for curve in sides]
    low, high = max(x[0] for x in at), min(x[-1] for x in at)
    if low >= high:
        return None
    levels = np.linspace(low, high, LEVELS)
    read: list[Figures] = []
    for curve, x in zip(sides, at, strict=True):
        known = [k for k in LEARNED if all(f.get(k) is not None for f in curve)]
        read.append({k: float(np.interp(levels, x, [float(f[k] or 0) for f in curve]).mean()) for k in known})
    return read[0], read[1]


def came_out(lab: Lab, claim: Ablation) -> Held | None:
    """The claim over all samples that were run with the part and without; None without any."""
    pairs: list[tuple[Figures, Figures]] = []
    for each in claim.by_sample():
        found = [(lab.find(a), lab.find(b)) for a, b in each]
        whole, without = [figures(a) for a, _ in found if a], [figures(b) for _, b in found if b]
        if len(whole) < len(each) or len(without) < len(each):
            continue
        pair = alike(whole, without) if claim.dials else (whole[0], without[0])
        pairs += [pair] if pair else []
    return held(claim.figure, pairs) if pairs else None


ABLATION_HEAD = ["what is taken away", "claim", "figure", "with", "without", "difference", "in the claimed direction",
                 "the other figures, with minus without"]


def ablation_row(name: str, claim: str, found: Held) -> list[str]:
    """A row under ABLATION_HEAD."""
    return [name, claim, TITLES[found.figure], str(found.whole), str(found.without), str(found.difference),
            f"{found.right} of {found.samples}", ", ".join(f"{k} {v:+.3f}" for k, v in found.beside.items())]
