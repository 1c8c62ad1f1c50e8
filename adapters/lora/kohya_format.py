"""The kohya LoRA file that A1111, Forge, ComfyUI, InvokeAI and sd-scripts read.

`lora_unet_<path with underscores>.{lora_down.weight, lora_up.weight, alpha}`, text encoder layers
as `lora_te_text_model_encoder_layers_…`, on SDXL `lora_te1_…` and `lora_te2_…`. SDXL's denoiser has the
original's block names there (`lora_unet_input_blocks_4_1_…`); files with diffusers' names are read too.
The map from names to layers is built from the host's own module tree, never by guessing where an
underscore was a dot.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime

import safetensors.torch
import torch

from adapters.errors import StudioError
from adapters.host import Host
from adapters.identity import FAMILIES, FAMILY_TITLES, Family
from adapters.lora.block_names import original_name
from adapters.lora.weights import LoraModule, LoraWeights
from adapters.record import AdapterRecord

_UNET = "lora_unet_"
_BEGINNINGS = (_UNET, *{p for facts in FAMILIES.values() for p in facts.text_prefixes.values()})
_ENDINGS = ("lora_down.weight", "lora_up.weight", "alpha", "dora_scale")


def name_map(host: Host) -> dict[str, str]:
    """kohya name -> full layer name, for every layer of the host that can carry a LoRA; one to one."""
    return {kohya_name(name, host.identity.family): name for name in host.layers()}


def other_names(host: Host) -> dict[str, str]:
    """Further names that files use for the same layers: diffusers' own where `name_map` has the original's."""
    return {_UNET + _flat(name.removeprefix("unet.")): name for name in host.layers() if name.startswith("unet.")}


def kohya_name(full: str, family: Family = "sd1") -> str:
    """The kohya name of a layer 'unet.a.b' or 'text_encoder.encoder.c' in the family's files."""
    part, _, path = full.partition(".")
    facts = FAMILIES[family]
    if part == "unet":
        return _UNET + _flat(original_name(path) if facts.large else path)
    if not path.startswith("text_model.") and not path.startswith("text_projection"):
        path = f"text_model.{path}"
    return facts.text_prefixes[part] + _flat(path)


def _flat(path: str) -> str:
    return path.replace(".", "_")


def encode(weights: LoraWeights,
           record: AdapterRecord) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """(tensors, metadata) of the file. The scale is exact: alpha / rank, also for rsLoRA."""
    tensors: dict[str, torch.Tensor] = {}
    for name, module in weights.modules.items():
        key = kohya_name(name, record.base.family)
        # The format divides by the rank alone, so rsLoRA's alpha is restated to give its scale.
        alpha = module.scale * module.rank
        tensors[f"{key}.lora_down.weight"] = module.down
        tensors[f"{key}.lora_up.weight"] = module.up
        tensors[f"{key}.alpha"] = torch.tensor(alpha, dtype=torch.float32)
        if module.magnitude is not None:
            tensors[f"{key}.dora_scale"] = module.magnitude.reshape(-1, *[1] * (module.down.ndim - 1))
    return tensors, _metadata(weights, tensors, record)


def _metadata(weights: LoraWeights, tensors: Mapping[str, torch.Tensor],
              record: AdapterRecord) -> dict[str, str]:
    ranks = {m.rank for m in weights.modules.values()}
    alphas = {m.scale * m.rank for m in weights.modules.values()}
    facts, prediction = FAMILIES[record.base.family], record.base.prediction
    training = {
        "ss_v2": str(facts.v2), "ss_base_model_version": facts.versions[prediction],
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(ranks.pop()) if len(ranks) == 1 else "Dynamic",
        "ss_network_alpha": f"{alphas.pop():g}" if len(alphas) == 1 else "Dynamic",
        "ss_network_args": json.dumps({}), "ss_output_name": record.name,
    }
    # As sd-scripts does it: the tensors alone, and 64 KiB of a file that has the ss_ fields only.
    content = safetensors.torch.save({k: t.contiguous() for k, t in tensors.items()}, training)
    body = content[8 + int.from_bytes(content[:8], "little"):]
    return training | {
        "sshs_model_hash": hashlib.sha256(body).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8],
        "modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": f"{facts.architectures[prediction]}/lora",
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models",
        "modelspec.prediction_type": {"epsilon": "epsilon", "v_prediction": "v"}[prediction],
        "modelspec.title": record.name, "modelspec.trigger_phrase": record.phrase,
        "modelspec.date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
    }


def recognise(keys: set[str]) -> bool:
    """Whether these tensor names are of this format."""
    return any(k.startswith(_BEGINNINGS) for k in keys)


def decode(tensors: Mapping[str, torch.Tensor], host: Host, file: str) -> LoraWeights:
    """Read the format for `host`; StudioError names the first key that has no place there."""
    names = other_names(host) | name_map(host)
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        stem, _, ending = key.partition(".")
        if ending not in _ENDINGS:
            kind = "LyCORIS (LoHa or LoKr)" if "hada_" in ending or "lokr_" in ending else "unknown"
            raise StudioError(f"'{file}' has a tensor of {kind} form ('{key[:80]}'); "
                              "choose a plain LoRA file.")
        if stem not in names:
            raise StudioError(
                f"'{file}' was trained for another base: {FAMILY_TITLES[host.identity.family]} has "
                f"no layer '{stem[:80]}'; choose the base that it was trained for."
            )
        parts.setdefault(names[stem], {})[ending] = tensor
    return LoraWeights({n: _module(n, found, file) for n, found in parts.items()}).check_whole(file)


def _module(name: str, found: Mapping[str, torch.Tensor], file: str) -> LoraModule:
    if not {"lora_down.weight", "lora_up.weight"} <= set(found):
        raise StudioError(f"'{file}' has only one half of layer '{name[:80]}'; take a fresh copy.")
    down, up = found["lora_down.weight"], found["lora_up.weight"]
    alpha = found.get("alpha", torch.tensor(down.shape[0] if down.ndim else 0))
    if alpha.numel() != 1:
        raise StudioError(f"'{file}' has more than one alpha at '{name[:80]}'; take a fresh copy.")
    magnitude = found.get("dora_scale")
    if magnitude is not None:
        if magnitude.ndim > 1 and magnitude.shape[0] != magnitude.numel():
            raise StudioError(f"'{file}' has a DoRA over inputs ('{name[:80]}'), this studio reads "
                              "those over outputs; choose another file.")
        magnitude = magnitude.flatten()
    return LoraModule(down, up, float(alpha.item()), magnitude=magnitude)
