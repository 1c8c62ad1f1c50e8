"""What a training will take, reckoned: the counts are the networks' own, and what is asked for more takes more."""

from __future__ import annotations

import pytest
import torch

import pipelines.estimate
from adapters.identity import Family
from adapters.lora.adapter import TEXT_ENCODER
from pipelines.base_models.skeleton import skeleton
from pipelines.estimate import SIZES, estimate
from pipelines.methods import METHODS
from pipelines.methods.common import resolve
from pipelines.methods.lora.recipe import _LAYERS


def rank_one(network: torch.nn.Module, names: tuple[str, ...]) -> int:
    """Parameters of a LoRA of rank 1 on the layers of these names."""
    shapes = [m.weight.shape for n, m in network.named_modules()
              if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d)) and any(f".{n}".endswith(f".{t}") for t in names)]
    return sum(shape[0] + shape[1:].numel() for shape in shapes)


@pytest.mark.parametrize("family", SIZES)
def test_the_counts_are_those_of_the_networks(family: Family) -> None:
    host, size = skeleton(family), SIZES[family]
    texts = [host.text_encoder, *([host.components["text_encoder_2"]] if family == "sdxl" else [])]
    pairs = [m for n, m in host.unet.named_modules() if n.endswith(("attn2.to_k", "attn2.to_v"))]
    assert size.denoiser == sum(p.numel() for p in host.unet.parameters())
    assert size.text == sum(p.numel() for text in texts for p in text.parameters())
    assert size.lora == {name: rank_one(host.unet, layers) for name, layers in _LAYERS.items()}
    assert size.lora_text == sum(rank_one(text, TEXT_ENCODER) for text in texts)
    assert (size.values, size.width) == (sum(m.out_features for m in pairs), pairs[0].in_features)


@pytest.mark.parametrize(("method", "kilobytes"), [("lora", 5585), ("textual-inversion", 3), ("perfusion", 16)])
def test_the_files_are_about_as_large_as_those_that_were_made(method: str, kilobytes: int) -> None:
    """What the README's table measured on the starter."""
    made = estimate(resolve(method, "starter"), "starter").file_bytes
    assert made == pytest.approx(1000 * kilobytes, rel=0.2, abs=4000)


@pytest.mark.parametrize("method", METHODS)
def test_more_steps_take_longer_and_more_pictures_a_step_more_memory(method: str) -> None:
    plain = estimate(resolve(method, "sd1"), "sd1")
    assert estimate(resolve(method, "sd1", steps=9000), "sd1").seconds > plain.seconds
    assert estimate(resolve(method, "sd1", batch=16), "sd1").peak_bytes > plain.peak_bytes
    assert estimate(resolve(method, "sd1", gradient_checkpointing=True), "sd1").peak_bytes < plain.peak_bytes
    assert estimate(resolve(method, "sdxl"), "sdxl").seconds > plain.seconds > estimate(
        resolve(method, "starter"), "starter").seconds


def test_a_method_whose_pace_is_not_known_is_reckoned_at_a_loras(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = resolve("textual-inversion", "starter")
    monkeypatch.setattr(pipelines.estimate, "_PACES", {"lora": 1.0})
    assert estimate(settings, "starter").seconds == estimate(settings, "starter", pipelines.estimate._slower("starter")
                                                             ).seconds


def test_it_is_called_an_estimate_and_says_what_it_goes_by() -> None:
    settings = resolve("lora", "starter", steps=100, batch=2, preview_every=0)
    guess, known = estimate(settings, "starter"), estimate(settings, "starter", 0.5, "mycat")
    assert guess.as_dict()["says"].startswith("Estimated: about ") and "a rough guess" in guess.as_dict()["says"]
    assert known.seconds == pytest.approx(100 + 5, abs=2)
    assert known.as_dict()["says"].startswith("Estimated: about 2 min (as 'mycat' went here); ")
