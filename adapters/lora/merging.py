"""LoRA updates added to the weights they belong to while a picture is painted: it then costs what one without costs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from peft.tuners.lora import LoraLayer
from torch import nn


def mergeable(network: nn.Module) -> dict[LoraLayer, torch.Tensor]:
    """The layers of `network` whose LoRAs can be merged, with the base's weight of each.

    Not those with a DoRA: it scales with the weight's norm, so that several on one layer merge to something else.
    Nor quantised ones, which have no weight to add to.
    """
    layers = [m for m in network.modules() if isinstance(m, LoraLayer) and m.lora_A and not m.lora_magnitude_vector]
    weights = {layer: layer.get_base_layer().weight for layer in layers}
    return {layer: weight for layer, weight in weights.items() if weight.is_floating_point()}


@contextlib.contextmanager
def merged(layers: dict[LoraLayer, torch.Tensor]) -> Iterator[None]:
    """The layers of `mergeable` with all their updates, at the strengths they have now, in their weights.

    The base's weights are kept beside the merged ones, which costs their memory once more, and put back as they
    were: taking an update off again would leave its rounding behind.
    """
    kept = {layer: weight.data for layer, weight in layers.items()}
    try:
        with torch.no_grad():
            for layer, weight in layers.items():
                names = [n for n in layer.active_adapters if n in layer.lora_A]
                updates = [layer.get_delta_weight(n).float() for n in names]
                weight.data = sum(updates, weight.data.float()).to(weight.dtype)
                layer.merged_adapters.extend(names)
        yield
    finally:
        for layer, weight in layers.items():
            weight.data = kept[layer]
            layer.merged_adapters.clear()
