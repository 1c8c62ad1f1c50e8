"""Figures from embeddings and verdicts. Every figure comes with the number it was taken on and an interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

# Two-sided 95% quantiles of Student's t by degrees of freedom; beyond the table the next smaller row is used.
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228,
      12: 2.179, 15: 2.131, 20: 2.086, 30: 2.042, 60: 2.0, 120: 1.98}


@dataclass(frozen=True)
class Score:
    """A mean over `n` values with half of its 95% interval (Student's t); `half` is None for one value."""

    mean: float
    half: float | None
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f}" if self.half is None else f"{self.mean:.3f} +- {self.half:.3f}"

    def as_dict(self) -> dict[str, float | int | None]:
        """`mean`, `interval` (half width) and `n`."""
        half = None if self.half is None else round(self.half, 4)
        return {"mean": round(self.mean, 4), "interval": half, "n": self.n}


def score(values: Sequence[float]) -> Score:
    """The mean of independent values. Raises ValueError when there are none."""
    n = len(values)
    mean = statistics.fmean(values)
    if n < 2:
        return Score(mean, None, n)
    quantile = _T[max(k for k in _T if k <= n - 1)]
    return Score(mean, quantile * statistics.stdev(values) / math.sqrt(n), n)


def identity(images: torch.Tensor, references: torch.Tensor) -> list[float]:
    """Per image [N, D] the mean cosine to all references [R, D]; rows have length 1.

    The mean over images is DreamBooth's subject fidelity (Ruiz et al., arXiv 2208.12242, section 4.2).
    """
    return [float(v) for v in (images @ references.T).mean(1)]


def prompt_following(images: torch.Tensor, texts: torch.Tensor) -> list[float]:
    """Per image the cosine to its own prompt: images and texts [N, D], row by row (CLIP-T)."""
    return [float(v) for v in (images * texts).sum(1)]


def nearest_reference(images: torch.Tensor, references: torch.Tensor) -> list[float]:
    """Per image the cosine to the reference that it is most like."""
    return [float(v) for v in (images @ references.T).amax(1)]


def copied(images: torch.Tensor, references: torch.Tensor) -> float | None:
    """The share of images that are nearer to a reference than any two references are to each other.

    None with a single reference, which says nothing about how much its likes differ.
    """
    if len(references) < 2:
        return None
    among = references @ references.T
    among.fill_diagonal_(-1)
    return float(((images @ references.T).amax(1) > among.max()).float().mean())


def diversity(images: torch.Tensor, groups: Sequence[object]) -> float | None:
    """1 minus the mean cosine of two images of the same group (prompt); None when no group has two.

    DreamBooth's DIV with this encoder's cosine in the place of LPIPS.
    """
    labels = list(groups)
    apart = [1 - float(images[a] @ images[b]) for a in range(len(labels)) for b in range(a)
             if labels[a] == labels[b]]
    return statistics.fmean(apart) if apart else None


def prior_collapse(class_images: torch.Tensor, references: torch.Tensor) -> float:
    """DreamBooth's PRES: the mean cosine between pictures of the class and the subject; lower is better."""
    return float((class_images @ references.T).mean())


def ranks(images: torch.Tensor, own: torch.Tensor, others: torch.Tensor) -> list[int]:
    """Per image how many of `others` [M, D] it is nearer to than to its `own` individual [D]; 0 is best."""
    return [int(n) for n in (images @ others.T > (images @ own)[:, None]).sum(1)]
