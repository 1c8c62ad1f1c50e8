"""What the loop needs to know of a method: adapter, objective and phases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch

from adapters.base import Adapter
from adapters.text import Conditioning, Tokens


@dataclass(frozen=True)
class Batch:
    """One training batch, on the base's device.

    `latents` [B, C, h, w], scaled as the denoiser wants them; `text` encoded once and for all, or as
    tokens that are encoded in every step because words or encoders are learned; `masks` [B, N, h, w]
    in 0-1, one layer a concept, zeros for a concept that the sample does not show. The last `prior`
    samples are class images (prior preservation). `sizes` [B, 6] are SDXL's. `weights` [B - prior] multiply
    the losses of the person's own samples.
    """

    latents: torch.Tensor
    text: Conditioning | Tokens
    masks: torch.Tensor | None = None
    prior: int = 0
    sizes: torch.Tensor | None = None
    weights: torch.Tensor | None = None

    def weighed(self, losses: torch.Tensor) -> torch.Tensor:
        """Losses [B - prior] of the own samples, each times its sample's weight."""
        return losses if self.weights is None else losses * self.weights.to(losses)

    @property
    def union(self) -> torch.Tensor | None:
        """The largest of the masks [B, 1, h, w]."""
        return None if self.masks is None else self.masks.amax(1, keepdim=True)


@dataclass(frozen=True)
class Prediction:
    """What the denoiser said of a noised batch. All [B, C, h, w] in fp32 but `snr` [B].

    `attention` [B, N, R, R] is what a probe saw of the concepts, where the recipe has one.
    """

    predicted: torch.Tensor
    target: torch.Tensor
    snr: torch.Tensor
    attention: torch.Tensor | None = None


class Objective(Protocol):
    """What is minimised."""

    def __call__(self, prediction: Prediction, batch: Batch) -> Mapping[str, torch.Tensor]:
        """Named scalar losses; their sum is descended."""
        ...


class Samples(Protocol):
    """Where batches come from."""

    def sample(self, generator: torch.Generator, batch: int) -> Batch:
        """A random batch; all chance comes from `generator`."""
        ...


class Probe(Protocol):
    """Looks at the denoiser while it predicts."""

    def watching(self) -> AbstractContextManager[object]:
        """While the block runs, what passes is kept."""
        ...

    def read(self, tokens: Tokens) -> torch.Tensor:
        """What was seen, [B, N, R, R]."""
        ...


@dataclass(frozen=True)
class Phase:
    """A stretch of the run with its own trained groups: group name -> learning rate.

    `objective` and `samples` (made when the phase begins) stand in for the recipe's own.
    """

    name: str
    steps: int
    rates: Mapping[str, float]
    objective: Objective | None = None
    samples: Callable[[], Samples] | None = None


@dataclass(frozen=True)
class Recipe:
    """A method, ready for the loop. The adapter is not yet injected.

    `samples` and `probe` are made once it is; `encoded` is told the text states of every batch, `stepped` that the
    optimizer has stepped. `reads_base` says that the adapter computes with the base's own weights or changes them.
    """

    adapter: Adapter
    objective: Objective
    phases: Sequence[Phase] = ()
    samples: Callable[[], Samples] | None = None
    probe: Callable[[], Probe] | None = None
    encoded: Callable[[Conditioning, Tokens], None] | None = None
    stepped: Callable[[], None] | None = None
    reads_base: bool = False
