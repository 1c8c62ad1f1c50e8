"""LyCORIS LoHa and LoKr files, read as the LoRA that has the very same updates.

Both are products of low-rank factors, so their updates are low-rank themselves and need no layers of
their own: a Hadamard product of a_1 b_1 and a_2 b_2 is a product of the factors' row- and column-wise
Kronecker products (FedPara: Hyeon-Woo et al., arXiv 2108.06098), and a Kronecker product of two
factorised matrices is the product of the factors' Kronecker products (LoKr: Yeh et al., arXiv
2309.14859). Where that rank would be above the layer's own, the update itself stands beside an identity.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from adapters.errors import StudioError
from adapters.host import Host
from adapters.identity import FAMILY_TITLES
from adapters.lora.kohya_format import name_map
from adapters.lora.weights import LoraModule, LoraWeights

MAX_NUMBERS = 1 << 29  # 2 GB in fp32: what the LoRA may become
_LOHA = {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}
_LOKR = {"lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"}

Factors = tuple[torch.Tensor, torch.Tensor]
"""[out, r] and [r, in], whose product is an update; in counts a convolution's window too."""

OTHERS = {
    "on_input": "IA3", "a1.weight": "GLoRA", "b1.weight": "GLoRA", "diff": "full weight differences",
    "diff_b": "full weight differences", "w_norm": "trained norms", "b_norm": "trained norms",
    "oft_blocks": "OFT", "oft_diag": "OFT", "lora_mid.weight": "LoCon with a Tucker core",
    "bundle_emb": "a LoRA with embeddings inside it", "vera_lambda_b": "VeRA", "glora_a1": "GLoRA",
    "bora_scale": "BoRA", "alphas": "a slider",
}
"""By a tensor name's last part: what other files of this family are, which the studio does not read."""


def other_kind(keys: set[str]) -> str:
    """The name of a LoRA-like kind that the studio does not read, '' when none is in these keys."""
    for key in sorted(keys):
        if key.startswith("bundle_emb."):
            return OTHERS["bundle_emb"]
        ending = key.partition(".")[2]
        if ending in OTHERS and key.startswith(("lora_", "lycoris_")):
            return OTHERS[ending]
    return ""


def recognise(keys: set[str]) -> bool:
    """Whether there are LoHa or LoKr layers among these tensor names."""
    return any(k.partition(".")[2].removesuffix(".weight") in _LOHA | _LOKR for k in keys)


def decode(tensors: Mapping[str, torch.Tensor], host: Host, file: str) -> LoraWeights:
    """Read the layers for `host` as a LoRA of equal updates; StudioError names the first key that has no place."""
    names, parts = name_map(host), dict[str, dict[str, torch.Tensor]]()
    shapes = {name: layer.weight.shape for name, layer in host.layers().items()}
    for key, tensor in tensors.items():
        stem, _, ending = key.partition(".")
        if stem.removeprefix("lycoris_") != stem:
            stem = f"lora_unet_{stem.removeprefix('lycoris_')}"
        if ending not in _LOHA | _LOKR | {"alpha", "hada_t1", "hada_t2"}:
            raise StudioError(f"'{file}' is LyCORIS with a part that this studio does not read ('{key[:80]}'); choose "
                              "a file of plain LoHa, LoKr or LoRA layers.")
        if stem not in names:
            raise StudioError(f"'{file}' was trained for another base: {FAMILY_TITLES[host.identity.family]} has no "
                              f"layer '{stem[:80]}'; choose the base that it was trained for.")
        parts.setdefault(names[stem], {})[ending] = tensor.float() if tensor.is_floating_point() else tensor
    modules, numbers = dict[str, LoraModule](), 0
    for name, found in parts.items():
        try:
            modules[name] = _module(found, shapes[name])
        except (RuntimeError, KeyError, IndexError, ValueError) as error:
            raise StudioError(f"'{file}' does not fit together at '{name[:80]}': a factor is missing or of another "
                              "size; take a fresh copy of the file.") from error
        numbers += modules[name].down.numel() + modules[name].up.numel()
        if numbers > MAX_NUMBERS:
            raise StudioError(f"'{file}' is LyCORIS of so high a rank that it would be over {MAX_NUMBERS >> 28} GB as "
                              "layers of this studio; choose a file of lower rank.")
    return LoraWeights(modules).check_whole(file)


def _module(found: dict[str, torch.Tensor], shape: torch.Size) -> LoraModule:
    alpha = found.pop("alpha", None)
    (up, down), rank = (_loha if _LOHA & found.keys() else _lokr)(found, shape)
    scale = float(alpha.item()) / rank if alpha is not None and rank else 1.0
    return LoraModule(down.reshape(-1, *shape[1:]).contiguous(),
                      up.reshape(*up.shape, *[1] * (len(shape) - 2)).contiguous(), scale * len(down))


def _loha(found: Mapping[str, torch.Tensor], shape: torch.Size) -> tuple[Factors, int]:
    (up1, down1), (up2, down2) = (
        _cored(found[f"hada_w{n}_a"], found[f"hada_w{n}_b"], found.get(f"hada_t{n}")) for n in (1, 2))
    out, width = shape[0], shape[1:].numel()
    if {len(up1), len(up2)} != {out} or {down1.shape[1], down2.shape[1]} != {width}:
        raise ValueError("The products are not of the layer's size.")
    rank = found["hada_w1_b"].shape[0]
    if up1.shape[1] * up2.shape[1] > min(out, width):
        return _trivial((up1 @ down1) * (up2 @ down2)), rank
    return (torch.einsum("op,oq->opq", up1, up2).flatten(1),
            torch.einsum("pi,qi->pqi", down1, down2).flatten(0, 1)), rank


def _lokr(found: Mapping[str, torch.Tensor], shape: torch.Size) -> tuple[Factors, int]:
    rank, factors = 0, list[Factors]()
    for n in (1, 2):
        if f"lokr_w{n}" in found:
            full = found[f"lokr_w{n}"].flatten(1)
            factors.append((torch.eye(len(full)), full))
        else:
            a, b = found[f"lokr_w{n}_a"], found[f"lokr_w{n}_b"]
            factors.append(_cored(a, b, found.get("lokr_t2") if n == 2 else None))
            rank = b.shape[0]
    (up1, down1), (up2, down2) = factors
    out, width = shape[0], shape[1:].numel()
    if len(up1) * len(up2) != out or down1.shape[1] * down2.shape[1] != width:
        raise ValueError("The product is not of the layer's size.")
    if len(down1) * len(down2) > min(out, width):
        return _trivial(_kron(up1 @ down1, up2 @ down2)), rank
    return (_kron(up1, up2), _kron(down1, down2)), rank


def _cored(a: torch.Tensor, b: torch.Tensor, core: torch.Tensor | None) -> Factors:
    """Of a @ b, or with LyCORIS' Tucker core [r, r, k, k] between a [r, out] and b [r, in]."""
    if core is None:
        return a.flatten(1), b.flatten(1)
    return a.T, torch.einsum("ijkl,jn->inkl", core, b).flatten(1)


def _trivial(update: torch.Tensor) -> Factors:
    """The update beside an identity on its smaller side."""
    out, width = update.shape
    return (torch.eye(out), update) if out <= width else (update, torch.eye(width))


def _kron(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """torch.kron of two matrices, which fails on some that have a side of one."""
    return torch.einsum("ij,kl->ikjl", a, b).reshape(len(a) * len(b), -1)
