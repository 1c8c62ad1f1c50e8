"""Small hosts, and what they say to a prompt."""

from __future__ import annotations

import copy
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from adapters.host import Host

ENDS = {"bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}


def twin(host: Host) -> Host:
    """The same base once more, without adapters."""
    return Host(host.identity, copy.deepcopy(host.components), host.tokenizer, host.vae, host.scheduler)


def wider(host: Host) -> Host:
    """A base of the same layer names and other shapes."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = {k: v for k, v in host.unet.config.items() if not k.startswith("_")}
        unet = UNet2DConditionModel(**{**config, "block_out_channels": (16, 48), "cross_attention_dim": 32})
        text = CLIPTextModel(CLIPTextConfig(
            vocab_size=len(host.tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=2, **ENDS))
    return Host(host.identity, {"unet": unet, "text_encoder": text}, host.tokenizer, host.vae, host.scheduler)


def answer(host: Host, prompt: str = "a photo of a cat", *, grad: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """(text states, denoised) for one fixed noise."""
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    with torch.set_grad_enabled(grad):
        text = host.text.encode(host.text.tokenize([prompt]))
        return text.states, host.denoise(noise, torch.tensor([500]), text)


def same(a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]) -> bool:
    """Bit for bit."""
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def anatomy(host: Host) -> Any:
    """Everything about a host that an adapter may not leave changed, weights included."""
    return {
        name: (repr(network), sorted(vars(network)), {n: id(m) for n, m in network.named_modules()},
               [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in network.modules()],
               {n: (id(p), p.data_ptr(), p.requires_grad, p.grad is None, p.double().sum().item())
                for n, p in network.named_parameters()})
        for name, network in host.components.items()
    } | {"words": host.text.words, "shared": dict(host.shared)}


def learn(adapter: Any, host: Host, prompt: str, steps: int = 3, rate: float = 0.5) -> None:
    """A few plain gradient steps of everything that the adapter can train; the last gradients stay."""
    parameters = [p for group in adapter.groups().values() for p in group]
    for p in parameters:
        p.requires_grad_(True)
    for _ in range(steps):
        for p in parameters:
            p.grad = None
        answer(host, prompt, grad=True)[1].square().mean().backward()
        with torch.no_grad():
            for p in parameters:
                if p.grad is not None:
                    p -= rate * p.grad / (p.grad.norm() + 1e-12)
    for p in parameters:
        p.requires_grad_(False)
