"""LoRAs in the weights while a picture is painted."""

from __future__ import annotations

import pytest
import torch

from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.lora.merging import mergeable, merged

LAYERS = ("to_q", "to_out.0", "conv1", "conv_shortcut")  # linear, with a bias, 3x3 and 1x1


def put(host: Host, name: str, rank: int, **options: bool) -> LoraAdapter:
    adapter = LoraAdapter.for_training(host, rank=rank, alpha=2 * rank, targets=LAYERS, **options)
    adapter.inject(host, name)
    generator = torch.Generator().manual_seed(rank)
    with torch.no_grad():
        for parameter in adapter.groups()["lora"]:
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return adapter


def said(host: Host) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        answer: torch.Tensor = host.unet(torch.randn(1, 4, 8, 8, generator=generator), 500,
                                         torch.randn(1, 5, 24, generator=generator)).sample
    return answer


def test_two_loras_at_their_strengths_say_the_same_in_the_weights(host: Host) -> None:
    base = said(host)
    first, second = put(host, "a", 2), put(host, "b", 3)
    first.set_strength(0.7)
    second.set_strength(-0.4)
    apart = said(host)
    with merged(mergeable(host.unet)):
        assert torch.allclose(said(host), apart, atol=1e-5)
        first.set_strength(0.0)
        second.set_strength(0.0)
        assert torch.allclose(said(host), apart, atol=1e-5), "the layers were used, not the weights"
    assert torch.equal(said(host), base), "at strength 0 nothing of it is left"
    first.set_strength(0.7)
    second.set_strength(-0.4)
    assert torch.equal(said(host), apart)


def test_the_base_is_as_it_was_to_the_last_bit(host: Host) -> None:
    before, tree = {k: v.clone() for k, v in host.unet.state_dict().items()}, repr(host.unet)
    adapter = put(host, "a", 2)
    with pytest.raises(KeyboardInterrupt), merged(mergeable(host.unet)):
        raise KeyboardInterrupt  # as when a painting is cancelled
    adapter.eject()
    after = host.unet.state_dict()
    assert repr(host.unet) == tree and before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_half_precision_weights_are_rounded_once(host: Host) -> None:
    host.unet.half()
    adapter = put(host, "a", 2)
    layers = mergeable(host.unet)
    wanted = {}
    for layer, weight in layers.items():
        name = layer.active_adapters[0]
        wanted[layer] = (weight.float() + layer.get_delta_weight(name).float()).half()
    with merged(layers):
        assert all(torch.equal(layer.get_base_layer().weight, wanted[layer]) for layer in layers)
    adapter.eject()


def test_doras_stay_apart(host: Host) -> None:
    put(host, "a", 2, dora=True)
    assert mergeable(host.unet) == {}
