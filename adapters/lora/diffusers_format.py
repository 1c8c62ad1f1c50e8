"""The diffusers / PEFT LoRA file: `unet.<path>.lora_A|lora_B.weight` and its configuration header.

Without `lora_adapter_metadata`, diffusers rebuilds every layer with alpha = r and without rsLoRA,
so the header is always written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from adapters.errors import StudioError
from adapters.lora.weights import LoraModule, LoraWeights

METADATA_KEY = "lora_adapter_metadata"
_ENDINGS = {".lora_A.weight": "down", ".lora_B.weight": "up", ".lora.down.weight": "down",
            ".lora.up.weight": "up", ".lora_magnitude_vector": "magnitude",
            ".lora_magnitude_vector.weight": "magnitude"}
_COMPONENTS = ("unet", "text_encoder")


def encode(weights: LoraWeights) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """(tensors, metadata) of the file. Text encoder keys carry `text_model.`, as ComfyUI wants."""
    tensors: dict[str, torch.Tensor] = {}
    for name, module in weights.modules.items():
        key = name
        if name.startswith("text_encoder.") and not name.startswith("text_encoder.text_model."):
            key = "text_encoder.text_model." + name.removeprefix("text_encoder.")
        tensors[f"{key}.lora_A.weight"] = module.down
        tensors[f"{key}.lora_B.weight"] = module.up
        if module.magnitude is not None:
            tensors[f"{key}.lora_magnitude_vector"] = module.magnitude
    settings: dict[str, Any] = {}
    for part in _COMPONENTS:
        if mine := weights.component(part):
            settings |= {f"{part}.{k}": v for k, v in _settings(mine).items()}
    return tensors, {"format": "pt", METADATA_KEY: json.dumps(settings, sort_keys=True)}


def _settings(modules: Mapping[str, LoraModule]) -> dict[str, Any]:
    first = next(iter(modules.values()))
    return {
        "r": first.rank, "lora_alpha": first.alpha, "target_modules": sorted(modules),
        "rank_pattern": {n: m.rank for n, m in modules.items() if m.rank != first.rank},
        "alpha_pattern": {n: m.alpha for n, m in modules.items() if m.alpha != first.alpha},
        "use_rslora": first.rslora, "use_dora": first.magnitude is not None,
        "lora_dropout": 0.0, "bias": "none",
    }


def recognise(keys: set[str]) -> bool:
    """Whether these tensor names are of this format."""
    return any(k.endswith(tuple(_ENDINGS)) for k in keys)


def decode(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str],
           file: str) -> LoraWeights:
    """Read the format. Every key must be understood, or StudioError names the first that is not."""
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        ending = next((e for e in _ENDINGS if key.endswith(e)), None)
        if ending is None or not key.startswith(tuple(f"{c}." for c in _COMPONENTS)):
            raise StudioError(f"'{file}' has a tensor that is no LoRA layer of a known part "
                              f"('{key[:80]}'); choose a LoRA for the UNet or the text encoder.")
        name = key.removesuffix(ending).replace("text_encoder.text_model.", "text_encoder.", 1)
        parts.setdefault(name, {})[_ENDINGS[ending]] = tensor
    settings = _read_settings(metadata, file)
    modules = {}
    for name, found in parts.items():
        if not {"down", "up"} <= set(found):
            raise StudioError(f"'{file}' has only one half of layer '{name[:80]}'; "
                              "take a fresh copy of the file.")
        component, _, path = name.partition(".")
        rank = found["down"].shape[0]
        mine = {k[len(component) + 1:]: v for k, v in settings.items()
                if k.startswith(f"{component}.")}
        alpha = _pattern(mine.get("alpha_pattern", {}), path, mine.get("lora_alpha", rank))
        modules[name] = LoraModule(found["down"], found["up"], float(alpha),
                                   bool(mine.get("use_rslora", False)), found.get("magnitude"))
    return LoraWeights(modules)


def _read_settings(metadata: Mapping[str, str], file: str) -> dict[str, Any]:
    if METADATA_KEY not in metadata:
        return {}
    try:
        settings = json.loads(metadata[METADATA_KEY])
    except ValueError as error:
        raise StudioError(f"The LoRA settings in '{file}' are damaged; take a fresh copy.") from error
    if not isinstance(settings, dict):
        raise StudioError(f"The LoRA settings in '{file}' are no table; take a fresh copy.")
    return settings


def _pattern(patterns: Mapping[str, Any], path: str, default: float) -> float:
    """PEFT's rule: the first pattern that equals the path's end decides."""
    for pattern, value in patterns.items():
        clean = pattern.removeprefix("^")
        if path == clean or path.endswith("." + clean):
            return float(value)
    return float(default)
