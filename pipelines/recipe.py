"""What the loop needs to know of a method: adapter, objective and phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from adapters.base import Adapter


@dataclass(frozen=True)
class Batch:
    """One training batch, on the base's device.

    `latents` [B, C, h, w], scaled as the denoiser wants them; `states` [B, T, D] text encodings;
    `mask` [B, 1, h, w] in 0-1, or None.
    """

    latents: torch.Tensor
    states: torch.Tensor
    mask: torch.Tensor | None = None


@dataclass(frozen=True)
class Prediction:
    """What the denoiser said of a noised batch. All [B, C, h, w] in fp32 but `snr` [B]."""

    predicted: torch.Tensor
    target: torch.Tensor
    snr: torch.Tensor


class Objective(Protocol):
    """What is minimised."""

    def __call__(self, prediction: Prediction, batch: Batch) -> Mapping[str, torch.Tensor]:
        """Named scalar losses; their sum is descended."""
        ...


@dataclass(frozen=True)
class Phase:
    """A stretch of the run with its own trained groups: group name -> learning rate."""

    name: str
    steps: int
    rates: Mapping[str, float]


@dataclass(frozen=True)
class Recipe:
    """A method, ready for the loop. The adapter is not yet injected."""

    adapter: Adapter
    objective: Objective
    phases: Sequence[Phase] = field(default_factory=tuple)
