"""A family's module tree without weights, for reading and checking adapter files."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from adapters.errors import StudioError
from adapters.host import Host
from adapters.identity import BaseIdentity, Family
from pipelines.base_models.locate import ASSETS, STARTER_PATH

CONFIGS: dict[Family, Path] = {"starter": STARTER_PATH, "sd1": ASSETS / "sd1"}


class _NoVae(torch.nn.Module):
    """Adapters never touch the autoencoder."""


@functools.cache
def skeleton(family: Family) -> Host:
    """UNet and text encoder of `family` on the meta device: names and shapes, no memory."""
    folder = CONFIGS[family]
    if not (folder / "unet" / "config.json").is_file():
        raise StudioError(f"The studio's own files are not whole: '{folder}' holds no model; "
                          "install it anew.")
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / "unet"))
        text = CLIPTextModel(CLIPTextConfig.from_pretrained(folder / "text_encoder"))
    return Host(BaseIdentity(family=family, name="", hash=""),
                {"unet": unet, "text_encoder": text}, None, _NoVae(), None)
