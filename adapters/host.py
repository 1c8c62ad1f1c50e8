"""A frozen base model that adapters can be put into and taken out of again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import nn

from adapters.identity import FAMILIES, BaseIdentity, FamilyFacts
from adapters.text import Conditioning, TextSide

TEXT_ENCODERS = ("text_encoder", "text_encoder_2")


@dataclass(frozen=True)
class Framing:
    """How a picture came to its size: `original` (width, height), enlarged or reduced, then cut out at
    `corner` (left, top) to `size` (width, height), all in pixels."""

    original: tuple[int, int]
    corner: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def whole(cls, size: tuple[int, int]) -> Framing:
        """An untouched picture."""
        return cls(size, (0, 0), size)


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
    safety: Callable[[Image.Image], bool] | None = None
    """Tells which painted pictures are to be withheld, where the base comes with such a checker."""

    def __post_init__(self) -> None:
        for module in (*self.components.values(), self.vae):
            module.requires_grad_(False).eval()
        encoders = [self.components[n] for n in TEXT_ENCODERS if n in self.components]
        self.text = TextSide((self.tokenizer, self.tokenizer_2)[:len(encoders)], encoders,
                             large=self.facts.large)
        if self.full_autoencoder:
            self.vae.float()
        self.shared: dict[str, Any] = {}  # what adapters of one kind keep in common while they are in
        self.kept: dict[str, str] = {}  # what takes long to find out about the base alone

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
    def facts(self) -> FamilyFacts:
        """What is particular to the family."""
        return FAMILIES[self.identity.family]

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

    def cross_attention(self) -> dict[str, Any]:
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

    def sizes(self, framings: Sequence[Framing]) -> torch.Tensor | None:
        """SDXL's size conditioning [N, 6], for other families None.

        Original height and width, top and left of the cut, height and width (Podell et al., section 2.2).
        """
        if not self.facts.large:
            return None
        rows = [[*f.original[::-1], *f.corner[::-1], *f.size[::-1]] for f in framings]
        return torch.tensor(rows, dtype=torch.float32, device=self.device)

    @torch.no_grad()
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Latents scaled for the denoiser of `pixels` [B, 3, H, W] in -1..1: the posterior's mean."""
        with self._autoencoding():
            mean: torch.Tensor = self.vae.encode(pixels.to(self.vae.device, self.vae.dtype)).latent_dist.mean
        return mean * float(self.vae.config.scaling_factor)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor, *, full: bool = False) -> torch.Tensor:
        """Pixels of scaled latents, about -1..1; with `full` in fp32, which the autoencoder then stays in."""
        if full:
            self.vae.float()
        with self._autoencoding(full=full):
            found: torch.Tensor = self.vae.decode(
                latents.to(self.vae.dtype) / self.vae.config.scaling_factor, return_dict=False)[0]
        return found

    def _autoencoding(self, full: bool = False) -> AbstractContextManager[object]:
        if full or self.full_autoencoder:
            return torch.autocast(self.device.type, enabled=False)
        return contextlib.nullcontext()

    @property
    def full_autoencoder(self) -> bool:
        """Whether the autoencoder stays in fp32 because it overflows in half precision."""
        return self.facts.full_autoencoder and bool(getattr(getattr(self.vae, "config", None), "force_upcast", False))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Host:
        """Move every part; returns itself. An autoencoder that overflows in half precision stays in fp32."""
        for module in (*self.components.values(), self.vae):
            wanted = torch.float32 if module is self.vae and self.full_autoencoder else dtype
            module.to(device=device, dtype=wanted) if wanted else module.to(device=device)
        return self
