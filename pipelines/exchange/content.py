"""What an adapter of any kind comes to in the terms that other programs know: a LoRA, and words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from adapters.base import Adapter
from adapters.bundle import BundleAdapter
from adapters.errors import StudioError
from adapters.full import FullAdapter
from adapters.host import Host
from adapters.lora import LoraAdapter, LoraModule, LoraWeights
from adapters.perfusion import PerfusionAdapter
from adapters.tokens import TokensAdapter
from pipelines.exchange.approximate import full_as_lora, perfusion_as_lora, perfusion_word


@dataclass
class Content:
    """Layers by full name, words with one [k, d] per text encoder, and what to say about them."""

    layers: dict[str, LoraModule] = field(default_factory=dict)
    words: dict[str, tuple[torch.Tensor, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)

    @property
    def lora(self) -> LoraWeights | None:
        """None when there are words alone."""
        return LoraWeights(self.layers) if self.layers else None


def content_of(adapter: Adapter, base: Callable[[], Host], rank: int) -> Content:
    """`base` is called for what must be approximated, `rank` is the most that it may have."""
    content = Content()
    for part in adapter.parts.values() if isinstance(adapter, BundleAdapter) else (adapter,):
        _add(content, part, base, rank)
    return content


def _add(content: Content, part: Adapter, base: Callable[[], Host], rank: int) -> None:
    errors: dict[str, float] = {}
    if isinstance(part, TokensAdapter):
        content.words |= part.vectors()
        return
    if isinstance(part, LoraAdapter):
        weights = part.weights()
    elif isinstance(part, FullAdapter):
        weights, errors = full_as_lora(part, base(), rank)
        content.notes.append(f"approximate: at rank {rank} the change of the weights is off by "
                             f"{errors['relative_error']:.1%} of itself")
    elif isinstance(part, PerfusionAdapter):
        weights, errors = perfusion_as_lora(part, base())
        content.words |= perfusion_word(part)
        content.notes.append("approximate: the edit stands without its gate, by which its layers' outputs are off by "
                             f"{errors['layer_outputs']:.1%} on average; bias, temperature and locking are fixed")
    else:
        raise StudioError(f"A '{part.kind}' adapter has no form in other programs; keep the studio's own file.")
    if both := sorted(content.layers.keys() & weights.modules.keys()):
        raise StudioError(f"Two parts of this adapter change '{both[0]}', which one LoRA file cannot hold; keep the "
                          "studio's own file.")
    content.layers |= weights.modules
    content.errors |= errors
