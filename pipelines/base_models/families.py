"""Which family a base is of, by its configurations or its file's header. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.files import Header, read_header
from adapters.identity import FAMILIES, FAMILY_TITLES, Family
from pipelines.base_models.locate import STARTER_PATH, BaseLocation
from pipelines.shipped import ASSETS

CONFIGS: dict[Family, Path] = {"starter": STARTER_PATH, "sd1": ASSETS / "sd1", "sd2": ASSETS / "sd2",
                               "sdxl": ASSETS / "sdxl"}
"""diffusers folders without weights: what single files of a family are opened with."""
_WIDTHS: dict[int, Family] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}  # of the text features
_LONG = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
_BLOCKS: dict[Family, tuple[str, ...]] = {
    "sd1": _LONG, "sd2": _LONG, "sdxl": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D")}
_INPUTS = {5: "a depth-guided model", 7: "an upscaler", 8: "a picture-editing model (instruct-pix2pix)",
           9: "an inpainting model"}
_UNET = "model.diffusion_model."
_KEYS = "transformer_blocks.0.attn2.to_k.weight"
_OFFER = (f"choose a {FAMILY_TITLES['sd1']}, {FAMILY_TITLES['sd2']} or {FAMILY_TITLES['sdxl']} base, or 'starter'")
# Beginnings of tensors by which other models' files are known.
_OTHERS = {
    "joint_blocks.": "a Stable Diffusion 3 model", "double_blocks.": "a Flux model",
    "conditioner.embedders.0.model.": "SDXL's refiner", "edm_mean": "a Playground model with another noise schedule",
    "control_model.": "a ControlNet", "lora_": "a LoRA", "down_blocks.": "the denoiser of a diffusers model alone",
}


def find_family(location: BaseLocation, *, offline: bool = False) -> Family:
    """The family of a located base, without opening its weights.

    A hub id is answered from the local cache, or else by two small files of the hub. Raises StudioError,
    naming what it is, when the studio cannot use it.
    """
    if location.form == "starter":
        return "starter"
    if location.form == "file" and location.path:
        return family_of_header(read_header(location.path), location.path.name)
    folder = location.path or _configurations(location.name, offline)
    return family_of_folder(folder, location.name)


def painted_side(location: BaseLocation, *, offline: bool = False) -> int:
    """How many pixels a side a located base was made for, by configurations: its own, or a single file's family's."""
    family = find_family(location, offline=offline)
    folder = CONFIGS[family] if location.form == "file" else location.path or _configurations(location.name, offline)
    side, levels = (_read(folder / part / "config.json", location.name).get(key) for part, key in (
        ("unet", "sample_size"), ("vae", "block_out_channels")))
    return (side if isinstance(side, int) else 64) << (len(levels) - 1 if isinstance(levels, list) else 3)


def family_of_folder(folder: Path, name: str) -> Family:
    """Of a diffusers folder, by the shapes that its configurations state."""
    unet = _read(folder / "unet" / "config.json", name)
    inputs, width = unet.get("in_channels", 4), unet.get("cross_attention_dim")
    if inputs in _INPUTS:
        raise StudioError(f"'{name}' is {_INPUTS[inputs]} ({inputs} input channels); {_OFFER}.")
    family = _WIDTHS.get(width) if isinstance(width, int) else None
    blocks = tuple(map(str, unet.get("down_block_types") or ()))
    if family is None or blocks != _BLOCKS[family] or inputs != 4 or unet.get("class_embed_type"):
        raise StudioError(f"'{name}' is of an unknown family (text features of width {width}, {inputs} input "
                          f"channels, {len(blocks)} levels); {_OFFER}.")
    parts = ("text_encoder", "text_encoder_2") if FAMILIES[family].large else ("text_encoder",)
    have = sum(int(_read(folder / part / "config.json", name).get("hidden_size", 0)) for part in parts)
    if have != width:
        raise StudioError(f"The base '{name}' could not be loaded (its text encoder gives features of width {have}, "
                          f"its denoiser wants {width}); take a fresh copy of the model.")
    return family


def family_of_header(header: Header, file: str) -> Family:
    """Of a single checkpoint in the original layout, by names and shapes of its tensors."""
    tensors = header.tensors
    for key in tensors:
        start = key.removeprefix(_UNET)
        if other := next((o for beginning, o in _OTHERS.items() if start.startswith(beginning)), ""):
            raise StudioError(f"'{file}' is {other}; {_OFFER}.")
    # The first attention of each layout: SDXL's largest grid has none.
    found = next((tensors[k].shape for n in (1, 4)
                  if (k := f"{_UNET}input_blocks.{n}.1.{_KEYS}") in tensors and len(tensors[k].shape) == 2), None)
    if found is None:
        raise StudioError(f"'{file}' is no Stable Diffusion checkpoint; {_OFFER}.")
    first = tensors.get(f"{_UNET}input_blocks.0.0.weight")
    inputs = first.shape[1] if first and len(first.shape) == 4 else 4
    if inputs != 4:
        raise StudioError(f"'{file}' is {_INPUTS.get(inputs, 'another kind of model')} ({inputs} input channels); "
                          f"{_OFFER}.")
    family = _WIDTHS.get(found[1])
    if family is None or (not FAMILIES[family].large and f"{_UNET}label_emb.0.0.weight" in tensors):
        raise StudioError(f"'{file}' is of an unknown family (text features of width {found[1]}); {_OFFER}.")
    return family


def _read(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StudioError(f"The base '{name}' could not be loaded ('{path.parent.name}/{path.name}' is missing or "
                          "damaged); check that it is a whole diffusers model.") from error
    if not isinstance(found, dict):
        raise StudioError(f"The base '{name}' could not be loaded ('{path.parent.name}/{path.name}' is no table); "
                          "take a fresh copy of the model.")
    return found


def _configurations(hub_id: str, offline: bool) -> Path:
    """The hub model's configurations, from the cache where they are."""
    from pipelines.base_models.hub import fetch

    return fetch(hub_id, offline, ("model_index.json", "*/config.json"))
