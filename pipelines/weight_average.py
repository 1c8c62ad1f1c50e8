"""A running average of the trained weights, kept beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch


class WeightAverage:
    """Exponential moving average (Polyak and Juditsky, 1992; with the warm-up that is usual for diffusion models).

    After update n, counted from 0: a <- d a + (1 - d) w with d = min(decay, (1 + n) / (10 + n)). The average starts
    at the weights as they are. It costs one more copy of them and nothing else: to be used, it changes places with
    the weights.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], decay: float) -> None:
        """`decay` is in 0-1; near 1 the average reaches far back, about 1 / (1 - decay) steps."""
        self.decay, self.updates = decay, 0
        self._parameters = list(parameters)
        self._means = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mean, p in zip(self._means, self._parameters, strict=True):
            mean.lerp_(p, 1 - decay)
        self.updates += 1

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """While the block runs, the parameters are the average; do not train in it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for n, p in enumerate(self._parameters):
            p.data, self._means[n] = self._means[n], p.data

    def state_dict(self) -> dict[str, Any]:
        """The average and how many steps are in it."""
        return {"updates": self.updates, "means": [m.cpu().clone() for m in self._means]}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`, for parameters of the same shapes in the same order."""
        self.updates = int(state["updates"])
        for mean, kept in zip(self._means, state["means"], strict=True):
            mean.copy_(kept)
