"""diffusers' own pipelines around a host's parts."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils.torch_utils import randn_tensor

from adapters.host import Host


def stock_pipeline(host: Host) -> Any:
    """A pipeline that paints with the host's own networks and a scheduler of its own, silently."""
    return _pipeline(host, StableDiffusionPipeline, StableDiffusionXLPipeline,
                     type(host.scheduler).from_config(host.scheduler.config))


def latents_pipeline(host: Host, scheduler: Any) -> Any:
    """A pipeline that paints latents anew: its `image` are scaled latents, noised by its `strength`."""
    pipeline = _pipeline(host, _LatentsPipeline, _LatentsXLPipeline, scheduler)
    # Latents are told from pixels by their channels, and not every base has four.
    pipeline.image_processor = VaeImageProcessor(vae_scale_factor=host.downsampling,
                                                 vae_latent_channels=host.unet.config.in_channels)
    return pipeline


def _pipeline(host: Host, small: Any, large: Any, scheduler: Any) -> Any:
    parts = {**host.components, "vae": host.vae, "tokenizer": host.tokenizer, "scheduler": scheduler}
    if host.facts.large:
        pipeline = large(**parts, tokenizer_2=host.tokenizer_2, add_watermarker=False,
                         force_zeros_for_empty_prompt=host.text.zero_empty)
    else:
        pipeline = small(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class _FromLatents:
    """In the stock place of encoding, which would leave SDXL's autoencoder in half precision."""

    scheduler: Any

    def prepare_latents(self, image: torch.Tensor, timestep: torch.Tensor, _batch: int, _each: int, dtype: torch.dtype,
                        device: torch.device, generator: Any = None, _add_noise: bool = True) -> torch.Tensor:
        image = image.to(device=device, dtype=dtype)
        noise = randn_tensor(image.shape, generator=generator, device=device, dtype=dtype)
        noised: torch.Tensor = self.scheduler.add_noise(image, noise, timestep)
        return noised


class _LatentsPipeline(_FromLatents, StableDiffusionImg2ImgPipeline):  # type: ignore[misc]
    pass


class _LatentsXLPipeline(_FromLatents, StableDiffusionXLImg2ImgPipeline):  # type: ignore[misc]
    pass
