"""Pictures to latents, as the stock pipelines do it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from adapters.host import Host


def encode_images(host: Host, images: Sequence[Image.Image]) -> torch.Tensor:
    """Latents [N, C, h, w] scaled for the denoiser: the posterior's mean, no chance in it.

    All images have one size, a multiple of the host's `downsampling`.
    """
    latents = []
    for image in images:
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(host.device, torch.float32)
        latents.append(host.encode(pixels / 127.5 - 1))
    return torch.cat(latents)
