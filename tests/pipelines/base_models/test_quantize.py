"""A denoiser in fewer bits: on a CPU, with the check for a graphics card lifted, which bitsandbytes can do too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from diffusers.quantizers.bitsandbytes import bnb_quantizer
from safetensors.torch import save_file
from torch import nn

import pipelines.base_models.load
from adapters.errors import StudioError
from adapters.host import Host
from adapters.lora import LoraAdapter
from pipelines import extras
from pipelines.base_models import families
from pipelines.base_models.load import load_base
from pipelines.base_models.quantize import check_quantize
from pipelines.methods.common import resolve
from pipelines.methods.lora.config import Config
from pipelines.precision import base_dtype
from tests.pipelines.base_models import small
from tests.pipelines.tools import begin, lesson, run

KINDS = pytest.mark.parametrize("kind", ["4bit", "8bit"])


@pytest.fixture
def lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bitsandbytes")
    monkeypatch.setattr(pipelines.base_models.load, "check_quantize", lambda wanted: None)
    for quantizer in (bnb_quantizer.BnB4BitDiffusersQuantizer, bnb_quantizer.BnB8BitDiffusersQuantizer):
        monkeypatch.setattr(quantizer, "validate_environment", lambda *_, **__: None)
        monkeypatch.setattr(quantizer, "update_device_map", lambda *_: {"": "cpu"})


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SDXL as a folder and as an original file, and the configurations for it."""
    path = tmp_path_factory.mktemp("sdxl")
    made = small.pipeline("sdxl", small.configurations(path / "configured", "sdxl"))
    made.save_pretrained(path / "base")
    save_file(small.original("sdxl", made), path / "original.safetensors")
    return path


def kinds_of(network: nn.Module) -> dict[str, set[torch.dtype]]:
    """What its linear layers and all else are held in."""
    linear = {id(m.weight) for m in network.modules() if isinstance(m, nn.Linear)}
    return {"linear": {p.dtype for p in network.parameters() if id(p) in linear},
            "rest": {p.dtype for p in network.parameters() if id(p) not in linear}}


@KINDS
@pytest.mark.parametrize("form", ["base", "original.safetensors"])
@pytest.mark.usefixtures("lifted")
def test_only_the_denoisers_linear_layers_are_quantized(sdxl: Path, form: str, kind: Any,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families.CONFIGS, "sdxl", sdxl / "configured")
    host = load_base(str(sdxl / form), offline=True, dtype=torch.bfloat16, quantize=kind)
    few = {"4bit": torch.uint8, "8bit": torch.int8}[kind]
    assert kinds_of(host.unet) == {"linear": {few}, "rest": {torch.bfloat16}}
    for encoder in host.text.encoders:
        assert kinds_of(encoder) == {"linear": {torch.bfloat16}, "rest": {torch.bfloat16}}
    assert host.vae.dtype == torch.float32
    assert not any(p.requires_grad for p in host.unet.parameters())


@pytest.mark.parametrize(("kind", "near"), [("8bit", 0.05), ("4bit", 0.2)])
@pytest.mark.usefixtures("lifted")
def test_it_answers_nearly_as_the_whole_one(kind: Any, near: float) -> None:
    found, whole = _answer(load_base("starter", quantize=kind)), _answer(load_base("starter"))
    assert 0 < float((found - whole).norm() / whole.norm()) < near


def settings(**changes: Any) -> Config:
    return Config(**{"steps": 2, "batch": 1, "learning_rate": 1e-2, "rank": 2, "alpha": 2.0, "layers": "all",
                     "schedule": "constant", "gradient_checkpointing": True, **changes})


@pytest.mark.parametrize(("kind", "dtype"), [("4bit", torch.bfloat16), ("8bit", torch.float32)])
@pytest.mark.usefixtures("lifted")
def test_a_lora_learns_in_fp32_beside_it_and_the_base_stays(kind: Any, dtype: torch.dtype) -> None:
    """Two steps, gradient checkpointing and all; what was learned then goes into the whole base."""
    base = load_base("starter", quantize=kind, dtype=dtype)
    base.unet.enable_gradient_checkpointing()
    kept = {n: p.detach().clone() for n, p in base.unet.named_parameters()}
    made = begin(base, settings(), lesson("a"))
    assert {p.dtype for p in made.groups["lora"]} == {torch.float32}
    if dtype == torch.bfloat16:
        made.accelerator = _in_bf16(made.accelerator)
    start = made.recipe.adapter.state()
    steps = run(made).of("step")
    assert len(steps) == 2 and all(e["loss"] < 10 for e in steps)
    learned = made.recipe.adapter.state()
    assert all(not torch.equal(start[k], learned[k]) for k in learned)
    made.recipe.adapter.eject()
    # Of 4-bit weights bitsandbytes makes another layout for a CPU's own kernels.
    assert all(torch.equal(p, kept[n]) for n, p in base.unet.named_parameters() if p.dtype != torch.uint8) and kept
    assert all(p.grad is None for p in base.unet.parameters())
    whole = load_base("starter")
    adapter: Any = made.recipe.adapter
    before = _answer(whole)
    taken = LoraAdapter.from_weights(adapter.weights())
    taken.inject(whole, "x")
    assert not torch.equal(_answer(whole), before)


def _in_bf16(accelerator: Accelerator) -> Any:
    class InBf16:
        def __getattr__(self, name: str) -> Any:
            return getattr(accelerator, name)

        def autocast(self) -> Any:
            return torch.autocast("cpu", torch.bfloat16)

    return InBf16()


def _answer(host: Host) -> torch.Tensor:
    """With gradients, as in training: without them bitsandbytes has kernels of its own on a CPU."""
    noise = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(7)).requires_grad_()
    return host.denoise(noise, torch.tensor([500]), host.text.encode_prompts(["a photo of a cat"])).detach()


# refusals


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a graphics card")
@KINDS
def test_without_a_graphics_card_it_is_refused_before_anything_is_loaded(kind: Any, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=f"A base in {kind} needs an NVIDIA graphics card.* set quantize to none"):
        load_base(str(tmp_path / "nowhere"), quantize=kind)


def test_a_missing_package_is_named_where_there_is_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(StudioError, match=r"needs the package 'bitsandbytes'.*pip install bitsandbytes$"):
        check_quantize("4bit")


@KINDS
@pytest.mark.parametrize(("method", "other", "says"), [
    ("perfusion", {}, "'quantize' cannot be .*keys and values, which must be whole"),
    ("break-a-scene", {"tuning": "full"}, "'tuning' cannot be full: full tuning learns the base's own weights"),
    ("lora", {"dora": True}, "'dora' cannot be True: DoRA reads the length of the base's weights"),
])
def test_methods_that_need_the_bases_weights_refuse_it_with_the_reason(kind: Any, method: str, other: dict[str, Any],
                                                                       says: str) -> None:
    with pytest.raises(StudioError, match=says):
        resolve(method, "sdxl", quantize=kind, **other)
    assert resolve(method, "sdxl", quantize="none", **other)


@pytest.mark.parametrize("method", ["lora", "break-a-scene", "textual-inversion"])
def test_methods_that_learn_beside_the_base_take_it(method: str) -> None:
    assert resolve(method, "sdxl", quantize="4bit").quantize == "4bit"


def test_the_base_is_held_in_the_arithmetics_type_only_when_memory_is_short() -> None:
    whole, few = settings(), settings(quantize="4bit")
    assert base_dtype(whole, "bf16") == base_dtype(few, "no") == torch.float32
    assert base_dtype(few, "bf16") == torch.bfloat16 and base_dtype(few, "fp16") == torch.float16
