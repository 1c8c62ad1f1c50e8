"""LoRA files of Stable Diffusion 2 and XL, in the shapes of the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from adapters.identity import BaseIdentity
from adapters.lora import LoraAdapter, LoraModule, LoraWeights
from adapters.record import AdapterRecord
from adapters.studio_file import save
from adapters.tensors import read_tensors, write_tensors
from pipelines.base_models.skeleton import skeleton
from pipelines.exchange import export, import_file

KEY = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
QUERY = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
CONV = "unet.up_blocks.1.resnets.2.conv1"
TEXT = "text_encoder.encoder.layers.3.self_attn.q_proj"
TEXT_2 = "text_encoder_2.text_model.encoder.layers.30.self_attn.v_proj"
LAYERS: dict[str, dict[str, tuple[int, float]]] = {
    "sd2": {KEY: (4, 2.0), QUERY: (4, 4.0), CONV: (2, 3.0), TEXT: (3, 1.0)},
    "sdxl": {KEY: (4, 2.0), QUERY: (4, 4.0), CONV: (2, 3.0), TEXT: (3, 1.0), TEXT_2: (5, 2.5)},
}


def weights(family: Any) -> LoraWeights:
    layers, chance, modules = skeleton(family).layers(), torch.Generator().manual_seed(0), {}
    for name, (rank, alpha) in LAYERS[family].items():
        shape = layers[name].weight.shape
        modules[name] = LoraModule(torch.randn(rank, *shape[1:], generator=chance),
                                   torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=chance), alpha)
    return LoraWeights(modules)


def exported(family: Any, format: str, folder: Path, prediction: Any = "epsilon") -> Path:
    base = BaseIdentity(family=family, name="", hash="", prediction=prediction)
    record = AdapterRecord(kind="lora", method="lora", name="a", base=base, trigger="zok", class_noun="cat")
    save(folder / "a.safetensors", LoraAdapter.from_weights(weights(family)), record)
    report = export(folder / "a.safetensors", format, folder / "out.safetensors")
    assert report.matched == report.layers == len(LAYERS[family])
    return folder / "out.safetensors"


def assert_read(path: Path, family: str) -> None:
    adapter, record = import_file(path, "again")
    assert record.base.family == family and isinstance(adapter, LoraAdapter)
    read, original = adapter.weights().modules, weights(family).modules
    assert read.keys() == original.keys()
    for name, module in original.items():
        assert torch.equal(read[name].down, module.down) and torch.equal(read[name].up, module.up)
        assert read[name].alpha == module.alpha


@pytest.mark.parametrize("family", list(LAYERS))
@pytest.mark.parametrize("format", ("diffusers", "kohya"))
def test_an_exported_adapter_imports_as_of_its_family(tmp_path: Path, family: str, format: str) -> None:
    assert_read(exported(family, format, tmp_path), family)


def test_sdxls_kohya_file_has_the_originals_names_and_diffusers_names_are_read_too(tmp_path: Path) -> None:
    _, tensors = read_tensors(exported("sdxl", "kohya", tmp_path))
    stems = {"lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k": KEY,
             "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q": QUERY,
             "lora_unet_output_blocks_5_0_in_layers_2": CONV,
             "lora_te1_text_model_encoder_layers_3_self_attn_q_proj": TEXT,
             "lora_te2_text_model_encoder_layers_30_self_attn_v_proj": TEXT_2}
    assert {k.partition(".")[0] for k in tensors} == set(stems)
    renamed = {}
    for key, tensor in tensors.items():
        stem, _, ending = key.partition(".")
        if stem.startswith("lora_unet_"):
            stem = "lora_" + stems[stem].replace(".", "_")
        renamed[f"{stem}.{ending}"] = tensor
    assert not renamed.keys() & {k for k in tensors if "unet" in k}
    save_file(renamed, tmp_path / "renamed.safetensors")
    assert_read(tmp_path / "renamed.safetensors", "sdxl")


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_what_fits_two_families_goes_to_the_one_that_the_file_names(tmp_path: Path, prediction: str) -> None:
    """A self-attention query has the same shape in Stable Diffusion 1 and 2."""
    path = exported("sd2", "kohya", tmp_path, prediction)
    header, tensors = read_tensors(path)
    write_tensors(path, {k: t for k, t in tensors.items() if "attn1_to_q" in k}, header.metadata)
    assert import_file(path, "a")[1].base.family == "sd2"
    write_tensors(path, {k: t for k, t in tensors.items() if "attn1_to_q" in k}, {})
    assert import_file(path, "a")[1].base.family == "sd1"
