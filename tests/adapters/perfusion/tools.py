"""A Perfusion concept on a small host, with text statistics that are random and well conditioned."""

from __future__ import annotations

import torch

from adapters.host import Host
from adapters.perfusion import PerfusionAdapter
from adapters.perfusion.second_moment import solver


def moment(d: int = 24, seed: int = 5) -> torch.Tensor:
    """A random C [d, d] in fp64, condition number about 100."""
    a = torch.randn(d, 2 * d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return a @ a.T / (2 * d)


def superclass(host: Host, noun: str) -> torch.Tensor:
    tokens = host.text.tokenize([f"a photo of a {noun}"])
    return host.text.encode_prompts([f"a photo of a {noun}"]).states[0, host.text.last_of(tokens, noun)[0]]


def fresh(host: Host, word: str = "<mycat>", noun: str = "cat", *, bias: float = 0.75,
          temperature: float = 0.1) -> PerfusionAdapter:
    """As at the start of training."""
    return PerfusionAdapter.for_training(host, word, noun, superclass(host, noun), solver(moment(), 0.0),
                                         bias=bias, temperature=temperature)


def filled(host: Host, word: str = "<mycat>", noun: str = "cat", seed: int = 0) -> PerfusionAdapter:
    """With a word and value targets as if learned."""
    made = fresh(host, word, noun)
    chance = torch.Generator().manual_seed(seed)
    made.load_state({k: t + torch.randn(t.shape, generator=chance) if k.startswith("token") or k.endswith("to_v")
                     else t for k, t in made.state().items()})
    return made
