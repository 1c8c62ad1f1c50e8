"""A family's module tree without weights, for reading and checking adapter files."""

from __future__ import annotations

import functools

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from adapters.errors import StudioError
from adapters.host import Host
from adapters.identity import FAMILIES, BaseIdentity, Family
from pipelines.base_models.families import CONFIGS

__all__ = ["CONFIGS", "skeleton"]


class _NoVae(torch.nn.Module):
    """Adapters never touch the autoencoder."""


@functools.cache
def skeleton(family: Family) -> Host:
    """UNet and text encoders of `family` on the meta device: names and shapes, no memory."""
    folder = CONFIGS[family]
    if not (folder / "unet" / "config.json").is_file():
        raise StudioError(f"The studio's own files are not whole: '{folder}' holds no model; "
                          "install it anew.")
    with torch.device("meta"):
        parts: dict[str, torch.nn.Module] = {
            "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / "unet")),
            "text_encoder": CLIPTextModel(CLIPTextConfig.from_pretrained(folder / "text_encoder"))}
        if FAMILIES[family].large:
            parts["text_encoder_2"] = CLIPTextModelWithProjection(
                CLIPTextConfig.from_pretrained(folder / "text_encoder_2"))
    return Host(BaseIdentity(family=family, name="", hash=""), parts, None, _NoVae(), None)
