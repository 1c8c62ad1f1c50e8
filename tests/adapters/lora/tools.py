"""LoRA weights of any shape, and what a base says with them."""

from __future__ import annotations

import torch

from adapters.host import Host
from adapters.lora import LoraAdapter, LoraModule, LoraWeights

QUERY = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
KEY = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
CONV = "unet.down_blocks.0.resnets.0.conv1"
TEXT = "text_encoder.encoder.layers.0.self_attn.q_proj"
MIXED = {QUERY: (4, 2.0), KEY: (2, 3.0), CONV: (3, 1.5), TEXT: (4, 8.0)}


def layer(host: Host, name: str) -> torch.nn.Module:
    part, path = name.split(".", 1)
    return host.components[part].get_submodule(path)


def random_weights(host: Host, layers: dict[str, tuple[int, float]], *, rslora: bool = False,
                   dora: bool = False, seed: int = 0) -> LoraWeights:
    """Every matrix random, so that every layer changes the output."""
    chance = torch.Generator().manual_seed(seed)
    modules = {}
    for name, (rank, alpha) in layers.items():
        weight = layer(host, name).weight
        down = torch.randn(rank, *weight.shape[1:], generator=chance)
        up = torch.randn(weight.shape[0], rank, *[1] * (weight.ndim - 2), generator=chance)
        magnitude = weight.flatten(1).norm(dim=1) * (1 + torch.rand(len(weight), generator=chance))
        modules[name] = LoraModule(down / 4, up / 4, alpha, rslora, magnitude if dora else None)
    return LoraWeights(modules)


def filled(host: Host, layers: dict[str, tuple[int, float]] | None = None, *, rslora: bool = False,
           dora: bool = False, seed: int = 0) -> LoraAdapter:
    return LoraAdapter.from_weights(
        random_weights(host, MIXED if layers is None else layers, rslora=rslora, dora=dora, seed=seed))


@torch.no_grad()
def text_states(host: Host) -> torch.Tensor:
    ids = torch.tensor([[49406, 320, 1125, 49407]])
    return host.text_encoder(ids)[0]


@torch.no_grad()
def output(host: Host) -> torch.Tensor:
    """The denoiser's answer to one fixed noise and prompt, through the text encoder."""
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    return host.unet(noise, torch.tensor([500]), text_states(host)).sample


def same(a: LoraWeights, b: LoraWeights) -> bool:
    """Whether two LoRAs are equal bit for bit, scales included."""
    def equal(x: torch.Tensor | None, y: torch.Tensor | None) -> bool:
        return x is y if x is None or y is None else torch.equal(x, y)

    return a.modules.keys() == b.modules.keys() and all(
        torch.equal(m.down, n.down) and torch.equal(m.up, n.up) and equal(m.magnitude, n.magnitude)
        and (m.alpha, m.rslora) == (n.alpha, n.rslora)
        for m, n in ((a.modules[k], b.modules[k]) for k in a.modules)
    )
