"""Blended latent diffusion (Avrahami, Fried and Lischinski, SIGGRAPH 2023, arXiv 2206.02779): painting inside a mask.

Break-A-Scene's local editing by example (arXiv 2305.16311, section 4.4), for every method and base.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from pipelines.dataset import bucket
from pipelines.encode import encode_images

Keep = Callable[[int, torch.Tensor], torch.Tensor]
"""What is done to latents after step n (from 0)."""
LONGEST = 4.0  # sides of a picture, to each other


@dataclass(frozen=True)
class Edit:
    """A picture, and an 8-bit mask of its size: white is painted anew, black is kept, grey is a mixture."""

    picture: Image.Image
    mask: Image.Image

    def __post_init__(self) -> None:
        if self.mask.size != self.picture.size:
            raise StudioError(f"The mask is {self.mask.width}x{self.mask.height} pixels, its picture is "
                              f"{self.picture.width}x{self.picture.height}; give a mask of the same size.")

    def size(self, host: Host) -> tuple[int, int]:
        """The width and height in pixels at which the base paints: the picture's shape, the base's own area."""
        return bucket(self.picture.size, host.resolution, host.downsampling * host.latent_multiple, LONGEST)

    def kept_outside(self, painted: Image.Image) -> Image.Image:
        """The picture with `painted` inside the mask; where the mask is black no bit of it is changed."""
        own = np.asarray(self.picture.convert("RGB")).astype(np.int32)
        new = np.asarray(painted.resize(self.picture.size, Image.Resampling.LANCZOS)).astype(np.int32)
        share = np.asarray(self.mask.convert("L")).astype(np.int32)[..., None]
        return Image.fromarray(((share * new + (255 - share) * own + 127) // 255).astype(np.uint8))


class Blend:
    """Keeps latents outside the mask on the picture's own way from noise to picture.

        z <- m z + (1 - m) noised(z_source, level of z)         after every step; without noise after the last

    A latent is as open as the whitest of its pixels, so that thin masks are not lost.
    """

    def __init__(self, host: Host, edit: Edit, size: tuple[int, int]) -> None:
        """`size` is the width and height in pixels at which is painted."""
        self.source = encode_images(host, [edit.picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)])
        pixels = torch.from_numpy(np.array(edit.mask.convert("L")))[None, None].float() / 255
        self.mask = F.adaptive_max_pool2d(pixels, self.source.shape[-2:]).to(self.source.device)

    def keeping(self, scheduler: Any, seed: int, dtype: torch.dtype) -> Keep:
        """What is done to latents [1, C, h, w] of a painting from `seed` in `dtype`."""
        # The stock pipeline's own first noise: outside the mask it is taken out again bit by bit.
        noise = torch.randn(self.source.shape, generator=torch.Generator("cpu").manual_seed(seed), dtype=dtype)

        def blended(n: int, latents: torch.Tensor) -> torch.Tensor:
            kept, mask = self.source.to(latents), self.mask.to(latents)
            if n + 1 < len(scheduler.timesteps):
                kept = scheduler.add_noise(kept, noise.to(latents), scheduler.timesteps[n + 1:n + 2])
            return mask * latents + (1 - mask) * kept

        return blended
