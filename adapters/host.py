"""A frozen base model that adapters can be put into and taken out of again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from adapters.identity import BaseIdentity
from adapters.text import Conditioning, TextSide

TEXT_ENCODERS = ("text_encoder", "text_encoder_2")


@dataclass
class Host:
    """The parts of a loaded base. The model axis (which family, which encoders) lives only here.

    `components` are the networks that an adapter may touch, by their diffusers names; `tokenizer_2`
    belongs to a second text encoder.
    """

    identity: BaseIdentity
    components: dict[str, nn.Module]
    tokenizer: Any
    vae: Any
    scheduler: Any
    tokenizer_2: Any = None

    def __post_init__(self) -> None:
        for module in (*self.components.values(), self.vae):
            module.requires_grad_(False).eval()
        encoders = [self.components[n] for n in TEXT_ENCODERS if n in self.components]
        self.text = TextSide((self.tokenizer, self.tokenizer_2)[:len(encoders)], encoders,
                             penultimate=self.identity.family == "sdxl")
        self.shared: dict[str, Any] = {}  # what adapters of one kind keep in common while they are in

    def denoise(self, noisy: torch.Tensor, timesteps: torch.Tensor, text: Conditioning,
                sizes: torch.Tensor | None = None) -> torch.Tensor:
        """The denoiser's answer [B, C, h, w] in its own precision.

        `sizes` [B, 6] are SDXL's original height and width, crop top and left, target height and width
        in pixels.
        """
        dtype = next(self.unet.parameters()).dtype
        added = {}
        if text.pooled is not None:
            added = {"added_cond_kwargs": {"text_embeds": text.pooled.to(dtype), "time_ids": sizes}}
        found: torch.Tensor = self.unet(
            noisy.to(dtype), timesteps, text.states.to(dtype), **added).sample
        return found

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

    def cross_attention(self) -> dict[str, nn.Module]:
        """The denoiser's keys and values of the text, by name inside it ('….attn2.to_k', '….to_v')."""
        return {path: module for path, module in self.unet.named_modules()
                if path.endswith((".attn2.to_k", ".attn2.to_v"))}

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

    @property
    def latent_multiple(self) -> int:
        """What a latent's sides must be multiples of: the denoiser halves them between its levels."""
        return int(2 ** (len(self.unet.config.block_out_channels) - 1))

    def sizes(self, size: tuple[int, int], count: int) -> torch.Tensor | None:
        """SDXL's size conditioning [count, 6] for whole pictures of `size` (width, height), else None."""
        if self.identity.family != "sdxl":
            return None
        width, height = size
        row = torch.tensor([height, width, 0, 0, height, width], dtype=torch.float32, device=self.device)
        return row.expand(count, -1)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Host:
        """Move every part; returns itself."""
        for module in (*self.components.values(), self.vae):
            module.to(device=device, dtype=dtype) if dtype else module.to(device=device)
        return self
