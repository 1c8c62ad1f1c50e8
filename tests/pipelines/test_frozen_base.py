"""A base that is held in autocast's type trains to the same bits, and is held so only where nothing reads it whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from adapters.host import Host
from pipelines.frozen_base import hold_as_read, type_read
from pipelines.lesson import silent
from pipelines.methods import config_class, recipe_builder
from pipelines.speed import running
from pipelines.trainer import Trainer
from pipelines.training import set_up
from tests.adapters.tools import twin
from tests.pipelines.tools import LEFT, RIGHT, equal, lesson, run


def trained(host: Host, hold: bool, method: str, **settings: Any) -> dict[str, torch.Tensor]:
    """What three steps under autocast give."""
    torch.manual_seed(0)
    config = config_class(method)(**{"steps": 3, "batch": 2, "learning_rate": 1e-2, "buckets": False, **settings})
    recipe = recipe_builder(method)(host, config, lesson("mycat"))
    recipe.adapter.inject(host, "trained")
    samples = recipe.samples() if recipe.samples else None
    assert samples
    if hold:
        hold_as_read(host, torch.bfloat16)
    made = Trainer(host, recipe, samples, config, Accelerator(mixed_precision="bf16", cpu=True))
    run(made)
    state: dict[str, torch.Tensor] = recipe.adapter.state()
    return state


@pytest.mark.parametrize(("method", "settings"), [
    ("lora", {"rank": 2, "layers": "all"}), ("lora", {"rank": 2, "text_encoder": True, "word": True}),
    ("textual-inversion", {})])
def test_a_training_ends_in_the_same_bits(host: Host, method: str, settings: dict[str, Any]) -> None:
    whole, held = (trained(twin(host), hold, method, **settings) for hold in (False, True))
    assert equal(whole, held)


def test_what_a_lora_changes_and_what_tells_the_type_stay_whole(host: Host) -> None:
    trained(host, True, "lora", rank=2, layers="attention")
    types = {name: layer.weight.dtype for name, layer in host.layers().items()}
    held = {name for name, dtype in types.items() if dtype == torch.bfloat16}
    assert "unet.down_blocks.0.resnets.0.conv1" in held and "unet.mid_block.resnets.0.time_emb_proj" in held
    assert not any(name.rpartition(".")[2] in ("to_q", "to_k", "to_v", "conv_in", "conv_out") for name in held)
    assert not any(name.startswith("text_encoder") or ".to_out." in name for name in held)
    norms = [p.dtype for name, p in host.unet.named_parameters() if "norm" in name]
    assert norms and set(norms) == {torch.float32} == {host.unet.dtype}


@pytest.mark.parametrize(("method", "settings", "precision", "expected"), [
    ("lora", {}, "bf16", torch.bfloat16), ("lora", {}, "fp16", torch.float16), ("lora", {}, "no", None),
    ("textual-inversion", {}, "bf16", torch.bfloat16), ("lora", {"dora": True}, "bf16", None),
    ("lora", {"quantize": "4bit"}, "bf16", None), ("perfusion", {"ridge": 1e-3, "captions": 100}, "bf16", None),
    ("break-a-scene", {}, "bf16", None), ("break-a-scene", {"tuning": "full"}, "bf16", None)])
def test_a_base_that_is_read_whole_too_stays_whole(host: Host, method: str, settings: dict[str, Any], precision: str,
                                                   expected: torch.dtype | None) -> None:
    config = config_class(method)(**{"steps": 4, "learning_rate": 1e-2, **settings})
    taught = lesson("mycat", "mydog", masks=(LEFT, RIGHT)) if method == "break-a-scene" else lesson("mycat")
    assert type_read(recipe_builder(method)(host, config, taught), config, precision) == expected


@pytest.mark.parametrize(("precision", "expected"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_a_run_is_set_up_with_it_once_its_pictures_are_latents(tmp_path: Path, precision: str,
                                                               expected: torch.dtype) -> None:
    config = running._take_in("textual-inversion", 1, tmp_path)
    config = config.model_copy(update={"training": config.training.model_copy(update={"precision": precision})})
    made = set_up(tmp_path, config, silent, cache=tmp_path / "cache")
    assert made.host.unet.down_blocks[0].resnets[0].conv1.weight.dtype == expected
