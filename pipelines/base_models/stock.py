"""diffusers' own pipeline around a host's parts."""

from __future__ import annotations

from typing import Any

from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

from adapters.host import Host


def stock_pipeline(host: Host) -> Any:
    """A pipeline that paints with the host's own networks and a scheduler of its own, silently."""
    parts = {**host.components, "vae": host.vae, "tokenizer": host.tokenizer,
             "scheduler": type(host.scheduler).from_config(host.scheduler.config)}
    pipeline: Any
    if host.facts.large:
        pipeline = StableDiffusionXLPipeline(**parts, tokenizer_2=host.tokenizer_2, add_watermarker=False,
                                             force_zeros_for_empty_prompt=host.text.zero_empty)
    else:
        pipeline = StableDiffusionPipeline(**parts, safety_checker=None, feature_extractor=None,
                                           requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
