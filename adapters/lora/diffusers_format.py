"""The diffusers / PEFT LoRA file: `unet.<path>.lora_A|lora_B.weight` and its configuration header.

Without `lora_adapter_metadata`, diffusers rebuilds every layer with alpha = r and without rsLoRA,
so the header is always written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import torch

from adapters.errors import StudioError
from adapters.lora.weights import LoraModule, LoraWeights

METADATA_KEY = "lora_adapter_metadata"
_ENDINGS = {".lora_A.weight": "down", ".lora_B.weight": "up", ".lora.down.weight": "down",
            ".lora.up.weight": "up", ".lora_magnitude_vector": "magnitude",
            ".lora_magnitude_vector.weight": "magnitude"}
COMPONENTS = ("unet", "text_encoder", "text_encoder_2")
# A pattern with one of these is an expression, which PEFT would match; names never have them.
_EXPRESSION = re.compile(r"[\\*+?()\[\]{}|$]")


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
            # PEFT holds a convolution's as [1, out, 1, 1].
            shape = (1, -1, 1, 1) if module.down.ndim == 4 else (-1,)
            # transformers' loader knows the key with '.weight', PEFT's own is without it.
            ending = ".weight" if key.startswith("text_encoder") else ""
            tensors[f"{key}.lora_magnitude_vector{ending}"] = module.magnitude.reshape(shape)
    settings: dict[str, Any] = {}
    for part in COMPONENTS:
        if mine := weights.component(part):
            settings |= {f"{part}.{k}": v for k, v in _settings(mine).items()}
    return tensors, {"format": "pt", METADATA_KEY: json.dumps(settings, sort_keys=True)}


def _settings(modules: Mapping[str, LoraModule]) -> dict[str, Any]:
    if len({m.rslora for m in modules.values()}) > 1:
        modules = LoraWeights(modules).plain().modules
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
    settings = _read_settings(metadata, file)
    known = tuple(f"{c}." for c in COMPONENTS)
    if not any(key.startswith(known) for key in tensors):
        # `unet.save_lora_adapter` writes the denoiser's layers without its name.
        tensors = {f"unet.{k}": t for k, t in tensors.items()}
        settings = {f"unet.{k}": v for k, v in settings.items()}
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        ending = next((e for e in _ENDINGS if key.endswith(e)), None)
        if ending is None or not key.startswith(known):
            raise StudioError(f"'{file}' has a tensor that is no LoRA layer of a known part "
                              f"('{key[:80]}'); choose a LoRA for the UNet or the text encoder.")
        name = key.removesuffix(ending).replace("text_encoder.text_model.", "text_encoder.", 1)
        parts.setdefault(name, {})[_ENDINGS[ending]] = tensor
    modules = {}
    for name, found in parts.items():
        if not {"down", "up"} <= set(found):
            raise StudioError(f"'{file}' has only one half of layer '{name[:80]}'; "
                              "take a fresh copy of the file.")
        component, _, path = name.partition(".")
        rank = found["down"].shape[0] if found["down"].ndim else 0
        mine = {k[len(component) + 1:]: v for k, v in settings.items()
                if k.startswith(f"{component}.")}
        alpha = _alpha(mine, path, rank, file)
        magnitude = found["magnitude"].flatten() if "magnitude" in found else None
        modules[name] = LoraModule(found["down"], found["up"], alpha,
                                   bool(mine.get("use_rslora", False)), magnitude)
    return LoraWeights(modules).check_whole(file)


def _read_settings(metadata: Mapping[str, str], file: str) -> dict[str, Any]:
    if METADATA_KEY not in metadata:
        return {}
    try:
        settings = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError) as error:
        raise StudioError(f"The LoRA settings in '{file}' are damaged; take a fresh copy.") from error
    if not isinstance(settings, dict):
        raise StudioError(f"The LoRA settings in '{file}' are no table; take a fresh copy.")
    return settings


def _alpha(settings: Mapping[str, Any], path: str, rank: int, file: str) -> float:
    """A layer's alpha by PEFT's rule: the first pattern that is the path or its end decides."""
    patterns = settings.get("alpha_pattern") or {}
    if not isinstance(patterns, dict) or any(_EXPRESSION.search(p) for p in patterns):
        raise StudioError(f"'{file}' gives its alphas by an expression, which this studio does not "
                          "read; choose another file.")
    value = settings.get("lora_alpha", rank)
    for pattern, own in patterns.items():
        if path == pattern.removeprefix("^") or path.endswith(f".{pattern}"):
            value = own
            break
    if not isinstance(value, int | float) or not abs(value) < 1e9:
        raise StudioError(f"'{file}' has an alpha that is no number ({str(value)[:40]}); "
                          "take a fresh copy.")
    return float(value)
