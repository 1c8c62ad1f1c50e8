"""Full fine-tuning: every weight of the denoiser and the text encoders, as Break-A-Scene's second phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from adapters.base import Plain
from adapters.errors import StudioError
from adapters.host import Host

_SHARED = "full"


class FullAdapter(Plain):
    """Stands in for all weights of a host's components. Only one can be in a host at a time."""

    kind = "full"

    def __init__(self, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        """`weights` maps 'unet.<path>' and so on to tensors; None starts from the host's own."""
        self._weights = dict(weights) if weights is not None else None
        self._host: Host | None = None
        self._own: dict[str, torch.Tensor] = {}
        self._strength = 1.0

    @property
    def spec(self) -> dict[str, Any]:
        """Nothing: the names are in the tensors."""
        return {}

    def _parameters(self) -> dict[str, nn.Parameter]:
        if self._host is None:
            raise RuntimeError("This adapter is in no host.")
        return {f"{part}.{_plain(path)}": p for part, network in self._host.components.items()
                for path, p in network.named_parameters() if ".lora_" not in path}

    def inject(self, host: Host, name: str) -> None:
        """Put the weights in, keeping the host's own aside."""
        if self._host is not None:
            raise RuntimeError("This adapter is in a host already.")
        if _SHARED in host.shared:
            raise StudioError("Two fully tuned models cannot be used at once: each replaces all weights of the "
                              "base; use one of the two.")
        self._host = host
        mine = self._parameters()
        if self._weights is not None and (fault := _fault(mine, self._weights)):
            self._host = None
            raise StudioError(f"The fully tuned weights are not for this base ({fault}); choose the base that "
                              "they were trained for.")
        self._own = {n: p.data for n, p in mine.items()}
        tuned = self._weights or self._own
        for n, p in mine.items():
            p.data = tuned[n].to(p, copy=True)
        host.shared[_SHARED] = self

    def eject(self) -> None:
        """Give the host its own weights back, the same tensors as before."""
        if self._host is None:
            return
        self._weights = self.state()
        for n, p in self._parameters().items():
            p.data = self._own[n]
            p.grad = None
            p.requires_grad_(False)
        self._host.shared.pop(_SHARED, None)
        self._host, self._own, self._strength = None, {}, 1.0

    def set_strength(self, strength: float) -> None:
        """Between the base's weights (0) and the tuned ones (1)."""
        tuned = self._weights if self._weights is not None and self._strength != 1 else self.state()
        self._weights, self._strength = tuned, strength
        for n, p in self._parameters().items():
            own = self._own[n]
            p.data = torch.lerp(own.float(), tuned[n].to(own.device).float(), strength).to(own.dtype)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """One group, 'weights'."""
        return {"weights": list(self._parameters().values())}

    def state(self) -> dict[str, torch.Tensor]:
        """All tuned weights, on the CPU, whatever the strength."""
        if self._weights is not None and (self._host is None or self._strength != 1):
            return {n: w.detach().cpu().clone() for n, w in self._weights.items()}
        return {n: p.detach().cpu().clone() for n, p in self._parameters().items()}

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Inverse of `state`, into the host."""
        mine = self._parameters()
        if fault := _fault(mine, tensors):
            raise StudioError(f"The weights do not fit ({fault}); take a fresh copy of the file.")
        self._weights, self._strength = None, 1.0
        with torch.no_grad():
            for n, p in mine.items():
                p.copy_(tensors[n])

    @classmethod
    def from_file(cls, tensors: Mapping[str, torch.Tensor], _metadata: Mapping[str, str],
                  _spec: Mapping[str, Any], file: str) -> FullAdapter:
        """Read the studio's own file."""
        if not any(k.startswith("unet.") for k in tensors):
            raise StudioError(f"'{file}' holds no denoiser weights; take a fresh copy.")
        return cls(tensors)

    def to_file(self) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """(tensors in half precision, metadata)."""
        return {n: t.half() for n, t in self.state().items()}, {"format": "pt"}


def _plain(path: str) -> str:
    return path.replace(".base_layer", "")


def _fault(mine: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> str:
    if odd := sorted(mine.keys() ^ given.keys()):
        return f"'{odd[0]}' is on one side only"
    wrong = next((n for n, p in mine.items() if p.shape != given[n].shape), "")
    return f"'{wrong}' has another shape" if wrong else ""
