"""The weights of a LoRA, free of any file format or library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from adapters.errors import StudioError
from adapters.host import Host
from adapters.identity import FAMILY_TITLES


@dataclass(frozen=True)
class LoraModule:
    """One layer's update `scale * up @ down`.

    `down` is [r, in] or [r, in, k, k], `up` [out, r] or [out, r, 1, 1]; `alpha / r` is the scale,
    `alpha / sqrt(r)` with `rslora` (Kalajdzievski, arXiv 2312.03732). `magnitude` [out] makes it
    DoRA (Liu et al., arXiv 2402.09353).
    """

    down: torch.Tensor
    up: torch.Tensor
    alpha: float
    rslora: bool = False
    magnitude: torch.Tensor | None = None

    def fault(self) -> str:
        """What is wrong with it by itself, '' when nothing is."""
        if self.down.ndim not in (2, 4) or self.up.ndim not in (2, 4) or not self.down.shape[0]:
            return f"its matrices have the shapes {tuple(self.down.shape)} and {tuple(self.up.shape)}"
        if self.up.shape[1] != self.rank:
            return f"its two matrices have ranks {self.up.shape[1]} and {self.rank}"
        if self.up.shape[2:].numel() != 1:
            return f"its second matrix has the shape {tuple(self.up.shape)}"
        if not math.isfinite(self.alpha):
            return f"its alpha is {self.alpha}"
        if self.magnitude is not None and tuple(self.magnitude.shape) != (self.up.shape[0],):
            return f"its magnitudes have the shape {tuple(self.magnitude.shape)}"
        return ""

    @property
    def rank(self) -> int:
        """r, the inner dimension."""
        return int(self.down.shape[0])

    @property
    def scale(self) -> float:
        """What `up @ down` is multiplied by."""
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)

    def delta(self) -> torch.Tensor:
        """The dense update of the weight, [out, in] or [out, in, k, k], without DoRA's magnitude."""
        dense = self.up.flatten(1).float() @ self.down.flatten(1).float()
        return (dense * self.scale).reshape(self.up.shape[0], *self.down.shape[1:])


@dataclass(frozen=True)
class LoraWeights:
    """All layers of a LoRA by full name: 'unet.down_blocks.1...to_q', 'text_encoder.layers.0...'."""

    modules: Mapping[str, LoraModule]

    def check_whole(self, name: str) -> LoraWeights:
        """Return itself, or raise StudioError when a layer's tensors do not belong together."""
        for path, module in self.modules.items():
            if fault := module.fault():
                raise StudioError(f"'{name}' does not fit together at '{path[:80]}': {fault}; take a "
                                  "fresh copy of the file.")
        return self

    def plain(self) -> LoraWeights:
        """The same updates with every scale as alpha / r."""
        return LoraWeights({n: replace(m, alpha=m.scale * m.rank, rslora=False) if m.rslora else m
                            for n, m in self.modules.items()})

    def component(self, name: str) -> dict[str, LoraModule]:
        """The layers of one component, by their name inside it."""
        prefix = f"{name}."
        return {k[len(prefix):]: m for k, m in self.modules.items() if k.startswith(prefix)}

    def check_fits(self, host: Host, name: str) -> None:
        """Raise StudioError unless every layer exists in the host with the right shape."""
        layers = {name: module.weight.shape for name, module in host.layers().items()}
        title = FAMILY_TITLES[host.identity.family]
        if not self.modules:
            raise StudioError(f"'{name}' holds no LoRA layers; choose a LoRA file.")
        if len({m.magnitude is None for m in self.modules.values()}) > 1:
            raise StudioError(f"'{name}' is DoRA on some of its layers only, which this studio does "
                              "not read; choose another file.")
        for path, module in self.modules.items():
            want = layers.get(path)
            if want is None or module.up.shape[0] != want[0] or module.down.shape[1] != want[1]:
                found = "no such layer" if want is None else f"a {tuple(want)} layer"
                raise StudioError(
                    f"'{name}' was trained for another base: {title} has {found} at '{path}'; "
                    "choose the base that it was trained for."
                )
            if tuple(module.down.shape[2:]) != tuple(want[2:]):
                raise StudioError(
                    f"'{name}' was trained for another base: {title} has a {tuple(want)} layer at "
                    f"'{path}', the file's has the shape {tuple(module.down.shape)}; choose the base "
                    "that it was trained for."
                )
