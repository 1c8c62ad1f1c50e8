"""A frozen base model that adapters can be put into and taken out of again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from adapters.identity import BaseIdentity


@dataclass
class Host:
    """The parts of a loaded base. The model axis (which family, which encoders) lives only here.

    `components` are the networks that an adapter may touch, by their diffusers names.
    """

    identity: BaseIdentity
    components: dict[str, nn.Module]
    tokenizer: Any
    vae: Any
    scheduler: Any

    def __post_init__(self) -> None:
        for module in (*self.components.values(), self.vae):
            module.requires_grad_(False).eval()

    @property
    def unet(self) -> Any:
        """The denoiser."""
        return self.components["unet"]

    @property
    def text_encoder(self) -> Any:
        """The (first) text encoder."""
        return self.components["text_encoder"]

    def layers(self) -> dict[str, nn.Linear | nn.Conv2d]:
        """The layers that can be adapted by full name ('unet.….to_q'), with or without adapters in."""
        return {
            f"{part}.{path.removesuffix('.base_layer')}": module
            for part, network in self.components.items()
            for path, module in network.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d) and ".lora_" not in path
        }

    @property
    def device(self) -> torch.device:
        """Where the denoiser is."""
        found: torch.device = next(self.unet.parameters()).device
        return found

    @property
    def resolution(self) -> int:
        """The side in pixels that the base was trained at."""
        return int(self.unet.config.sample_size) * self.downsampling

    @property
    def downsampling(self) -> int:
        """Pixels per latent, along one side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Host:
        """Move every part; returns itself."""
        for module in (*self.components.values(), self.vae):
            module.to(device=device, dtype=dtype) if dtype else module.to(device=device)
        return self
