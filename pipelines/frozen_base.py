"""The frozen base while it is trained upon: its weights once, in the type that the arithmetic reads them in."""

from __future__ import annotations

import torch
from peft.tuners.lora import LoraLayer

from adapters.host import Host
from pipelines.methods.common import TrainingConfig
from pipelines.recipe import Recipe

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""By accelerate's word for it; for others there is no autocast."""
_BLOCKS = ("unet.down_blocks.", "unet.mid_block.", "unet.up_blocks.")


def type_read(recipe: Recipe, settings: TrainingConfig, mixed_precision: str) -> torch.dtype | None:
    """What `hold_as_read` may hold the base in once its samples are made; None where all of it is needed whole.

    That is without autocast, for adapters that compute with the base's weights, and where a later phase paints its
    class images, outside of autocast. A quantized base is in its type already.
    """
    later = any(phase.samples for phase in recipe.phases)
    if recipe.reads_base or later or settings.quantize != "none":
        return None
    return AUTOCAST.get(mixed_precision)


def hold_as_read(host: Host, dtype: torch.dtype) -> None:
    """Hold the linear layers and convolutions of the denoiser's blocks in `dtype`, autocast's own.

    Autocast casts them so at every call, and the backward keeps that copy beside the original: the same bits, twice the
    memory. Outside of autocast the base is not what it was. What stays: layers with a LoRA, which previews add to their
    weights; norms; and the layers before and behind the blocks, which tell everybody what type the denoiser is in.
    """
    tuned = [m for network in host.components.values() for m in network.modules() if isinstance(m, LoraLayer)]
    whole = {layer.get_base_layer() for layer in tuned}
    for name, layer in host.layers().items():
        if name.startswith(_BLOCKS) and layer not in whole:
            for p in layer.parameters():
                p.data = p.data.to(dtype)
    for lora in tuned:
        lora.cast_input_dtype_enabled = False  # to fp32, only for autocast to cast it back
