"""What no LoRA can hold, as the LoRA nearest to it, with the error that this makes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from adapters.errors import StudioError
from adapters.full import FullAdapter
from adapters.host import Host
from adapters.lora import LoraModule, LoraWeights
from adapters.perfusion import PerfusionAdapter
from adapters.perfusion.edit import gates
from adapters.tokens import TokensAdapter

PROMPTS = ("a photo of {}", "{} on the beach", "a painting of {} in the snow", "a photo of a tree")
_OVERSAMPLE = 16


def perfusion_word(adapter: PerfusionAdapter) -> dict[str, tuple[torch.Tensor, ...]]:
    """The concept's word and its vectors."""
    state = adapter.state()
    return {adapter.word: tuple(state[k] for k in ("token.0", "token.1") if k in state)}


def perfusion_as_lora(adapter: PerfusionAdapter, host: Host) -> tuple[LoraWeights, dict[str, float]]:
    """The ungated edit W + (o* - W i*) v^T / (i* . v) of every key and value, as LoRA of rank 1.

    The error is the mean over layers of |gated - ungated| / |gated| of their outputs, for the encodings of
    `PROMPTS`, at bias and temperature as trained. Tewel et al., section 4, with the gate replaced by r.
    Raises StudioError when the host is not of the concept's base.
    """
    adapter.inject(host, "approximated")  # for its checks
    adapter.eject()
    concept = adapter.concept
    energy = concept.i @ concept.v
    states = _encodings(adapter, host)
    removal, gate = gates(states, [concept])
    modules, errors = dict[str, LoraModule](), []
    for path, module in host.cross_attention().items():
        weight = module.weight.detach().float()
        target, taken = concept.targets[path].detach().float(), F.linear(concept.i, weight)
        modules[f"unet.{path}"] = LoraModule((concept.v / energy)[None].cpu(), (target - taken)[:, None].cpu(), 1.0)
        gated = F.linear(states, weight) - removal * taken + gate * target
        ungated = F.linear(states, weight) + removal * (target - taken)
        errors.append(float((gated - ungated).norm() / gated.norm().clamp(min=1e-12)))
    return LoraWeights(modules), {"layer_outputs": sum(errors) / len(errors)}


def _encodings(adapter: PerfusionAdapter, host: Host) -> torch.Tensor:
    words = TokensAdapter(perfusion_word(adapter))
    words.inject(host, "approximated_word")
    try:
        return host.text.encode_prompts([p.format(adapter.word) for p in PROMPTS]).states.float()
    finally:
        words.eject()


def full_as_lora(adapter: FullAdapter, host: Host, rank: int) -> tuple[LoraWeights, dict[str, float]]:
    """The weights' differences to the host's, each cut to `rank` by singular values (Eckart and Young).

    The error is |dW - LoRA| / |dW| over all weights together; those that no LoRA can hold (biases, norms,
    embeddings) count as lost. Both sides are taken in half precision, in which tuned weights are stored,
    so that untouched ones differ by nothing. Raises StudioError when host and weights do not match.
    """
    tuned, layers = adapter.state(), host.layers()
    own = {f"{part}.{path}": p.detach() for part, network in host.components.items()
           for path, p in network.named_parameters()}
    if odd := sorted(own.keys() ^ tuned.keys()) or [n for n in own if own[n].shape != tuned[n].shape]:
        raise StudioError(f"The fully tuned weights are not of this base (at '{odd[0]}'); give the base that they "
                          "were trained on (on the command line: --base).")
    modules, total, lost, held = dict[str, LoraModule](), 0.0, 0.0, 0.0
    for name, weight in tuned.items():
        change = weight.half().float() - own[name].half().float().to(weight.device)
        size = float(change.double().square().sum())
        total += size
        layer = name.removesuffix(".weight")
        if size and name.endswith(".weight") and layer in layers:
            modules[layer], left = _truncate(change, rank)
            lost, held = lost + left, held + size
        else:
            lost += size
    if not total:
        raise StudioError("The fully tuned weights are those of this base, so there is nothing to write; give the "
                          "base that they were trained on (on the command line: --base).")
    return LoraWeights(modules), {"rank": float(rank), "relative_error": (lost / total) ** 0.5,
                                  "in_no_lora": ((total - held) / total) ** 0.5}


def _truncate(change: torch.Tensor, rank: int) -> tuple[LoraModule, float]:
    """A layer's change [out, in, ...] at `rank`, and the squared size of what that leaves out."""
    flat = change.flatten(1)
    wanted = min(rank, *flat.shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        u, s, v = torch.svd_lowrank(flat, q=min(2 * wanted + _OVERSAMPLE, *flat.shape), niter=4)
    root = s[:wanted].sqrt()
    up, down = u[:, :wanted] * root, (v[:, :wanted] * root).T
    left = float((flat - up @ down).double().square().sum())
    return LoraModule(down.reshape(-1, *change.shape[1:]).contiguous(),
                      up.reshape(*up.shape, *[1] * (change.ndim - 2)).contiguous(), float(wanted)), left
