from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from adapters.errors import StudioError
from adapters.files import read_header
from adapters.host import Host
from adapters.lora import LoraAdapter, LoraWeights, diffusers_format, kohya_format
from adapters.lora.adapter import ATTENTION, CONVOLUTIONS, FEED_FORWARD, TEXT_ENCODER
from adapters.record import AdapterRecord
from adapters.tensors import read_tensors, write_tensors
from pipelines.base_models.skeleton import skeleton
from tests.adapters.lora.tools import (
    CONV,
    KEY,
    MIXED,
    QUERY,
    TEXT,
    filled,
    output,
    random_weights,
    same,
    text_states,
)


def stock(host: Host) -> StableDiffusionPipeline:
    """The stock pipeline around its own copy of the base."""
    parts = copy.deepcopy(host.components)
    return StableDiffusionPipeline(
        vae=host.vae, tokenizer=host.tokenizer, scheduler=host.scheduler, **parts,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def around(pipe: StableDiffusionPipeline, host: Host) -> Host:
    return Host(host.identity, {"unet": pipe.unet, "text_encoder": pipe.text_encoder}, host.tokenizer,
                host.vae, host.scheduler)


def by_diffusers(weights: LoraWeights, path: Path) -> LoraWeights:
    write_tensors(path, *diffusers_format.encode(weights))
    header, tensors = read_tensors(path)
    return diffusers_format.decode(tensors, header.metadata, path.name)


def by_kohya(weights: LoraWeights, host: Host, record: AdapterRecord, path: Path) -> LoraWeights:
    write_tensors(path, *kohya_format.encode(weights, record))
    return kohya_format.decode(read_tensors(path)[1], host, path.name)


# diffusers


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("dora", [False, True])
def test_diffusers_round_trip_keeps_every_bit_rank_and_alpha(host: Host, tmp_path: Path, rslora: bool,
                                                             dora: bool) -> None:
    weights = random_weights(host, MIXED, rslora=rslora, dora=dora)
    assert same(by_diffusers(weights, tmp_path / "a.safetensors"), weights)


def test_diffusers_text_encoder_keys_carry_text_model(host: Host) -> None:
    tensors, _ = diffusers_format.encode(random_weights(host, MIXED))
    assert "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight" in tensors


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("dora", [False, True])
def test_stock_diffusers_paints_the_same_with_our_file(host: Host, tmp_path: Path, rslora: bool,
                                                       dora: bool) -> None:
    adapter = filled(host, rslora=rslora, dora=dora)
    write_tensors(tmp_path / "a.safetensors", *diffusers_format.encode(adapter.weights()))
    pipe, base = stock(host), output(host)
    pipe.load_lora_weights(str(tmp_path), weight_name="a.safetensors", local_files_only=True)
    adapter.inject(host, "a")
    ours, theirs = output(host), output(around(pipe, host))
    assert (ours - theirs).abs().max() < 1e-5 < (ours - base).abs().max()


def peft_layers(host: Host, **options: Any) -> LoraConfig:
    """diffusers' own injection into `host`, filled with chance."""
    config = LoraConfig(r=4, lora_alpha=10, target_modules=list(ATTENTION + CONVOLUTIONS),
                        alpha_pattern={"attn1.to_q": 3}, rank_pattern={"attn2.to_k": 2}, **options)
    host.unet.add_adapter(config, adapter_name="theirs")
    chance = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, p in host.unet.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                p.copy_(torch.randn(p.shape, generator=chance) / 8)
            elif "lora_magnitude_vector" in name:
                p.mul_(1.3)
    return config


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"use_dora": True}])
def test_file_of_save_lora_adapter_is_read(host: Host, tiny: Host, tmp_path: Path,
                                           options: dict[str, bool]) -> None:
    peft_layers(host, **options)
    host.unet.save_lora_adapter(tmp_path, adapter_name="theirs", weight_name="a.safetensors")
    header, tensors = read_tensors(tmp_path / "a.safetensors")
    weights = diffusers_format.decode(tensors, header.metadata, "a")
    assert (weights.modules[QUERY].rank, weights.modules[QUERY].alpha) == (4, 3.0)
    assert (weights.modules[KEY].rank, weights.modules[KEY].alpha) == (2, 10.0)
    again = Host(tiny.identity, copy.deepcopy(tiny.components), tiny.tokenizer, tiny.vae, tiny.scheduler)
    base = output(again)
    LoraAdapter.from_weights(weights).inject(again, "ours")
    assert (output(again) - output(host)).abs().max() < 1e-5 < (output(again) - base).abs().max()


def test_file_of_save_lora_weights_is_read(host: Host, tiny: Host, tmp_path: Path) -> None:
    peft_layers(host)
    text = LoraConfig(r=3, lora_alpha=12, target_modules=list(TEXT_ENCODER), init_lora_weights=False)
    host.text_encoder.add_adapter(text, adapter_name="theirs")
    StableDiffusionPipeline.save_lora_weights(
        tmp_path, weight_name="a.safetensors",
        unet_lora_layers=get_peft_model_state_dict(host.unet, adapter_name="theirs"),
        text_encoder_lora_layers=get_peft_model_state_dict(host.text_encoder, adapter_name="theirs"),
        unet_lora_adapter_metadata=host.unet.peft_config["theirs"].to_dict(),
        text_encoder_lora_adapter_metadata=text.to_dict(),
    )
    header, tensors = read_tensors(tmp_path / "a.safetensors")
    weights = diffusers_format.decode(tensors, header.metadata, "a")
    assert (weights.modules[TEXT].rank, weights.modules[TEXT].alpha) == (3, 12.0)
    assert weights.modules[QUERY].alpha == 3
    again = Host(tiny.identity, copy.deepcopy(tiny.components), tiny.tokenizer, tiny.vae, tiny.scheduler)
    base = output(again)
    LoraAdapter.from_weights(weights).inject(again, "ours")
    assert (output(again) - output(host)).abs().max() < 1e-5 < (output(again) - base).abs().max()


def test_without_settings_alpha_is_the_rank(host: Host) -> None:
    tensors, _ = diffusers_format.encode(random_weights(host, MIXED))
    read = diffusers_format.decode(tensors, {}, "a")
    assert {n: m.alpha for n, m in read.modules.items()} == {n: r for n, (r, _) in MIXED.items()}


def test_mixed_rslora_keeps_each_update_in_diffusers_form(host: Host, tmp_path: Path) -> None:
    weights = LoraWeights({**random_weights(host, {QUERY: (4, 2.0)}).modules,
                           **random_weights(host, {KEY: (4, 2.0)}, rslora=True).modules})
    read = by_diffusers(weights, tmp_path / "a.safetensors")
    for name, module in weights.modules.items():
        torch.testing.assert_close(read.modules[name].delta(), module.delta())


@pytest.mark.parametrize("key", ["unet.conv_in.weight", "vae.conv.lora_A.weight", f"{QUERY}.hada_w1_a",
                                 "transformer.x.lora_A.weight"])
def test_diffusers_keys_without_a_place_are_named(host: Host, key: str) -> None:
    tensors, metadata = diffusers_format.encode(random_weights(host, MIXED))
    with pytest.raises(StudioError, match=key):
        diffusers_format.decode({**tensors, key: torch.ones(2, 2)}, metadata, "a")


@pytest.mark.parametrize("settings", [
    "{", "[]", "[" * 50_000, '{"unet.lora_alpha": "x"}', '{"unet.lora_alpha": NaN}',
    '{"unet.lora_alpha": null}', '{"unet.lora_alpha": ' + "9" * 400 + "}", '{"unet.alpha_pattern": [1]}',
    '{"unet.alpha_pattern": {".*attn.*": 4}}', '{"unet.alpha_pattern": {"attn1.to_q": "x"}}',
])
def test_damaged_diffusers_settings_are_refused(host: Host, settings: str) -> None:
    tensors, _ = diffusers_format.encode(random_weights(host, MIXED))
    with pytest.raises(StudioError):
        diffusers_format.decode(tensors, {diffusers_format.METADATA_KEY: settings}, "a")


# kohya


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("dora", [False, True])
def test_kohya_round_trip_keeps_each_update(host: Host, record: AdapterRecord, tmp_path: Path,
                                            rslora: bool, dora: bool) -> None:
    weights = random_weights(host, MIXED, rslora=rslora, dora=dora)
    read = by_kohya(weights, host, record, tmp_path / "a.safetensors")
    assert read.modules.keys() == weights.modules.keys()
    for name, module in weights.modules.items():
        torch.testing.assert_close(read.modules[name].delta(), module.delta(), rtol=1e-6, atol=1e-7)
        assert not dora or torch.equal(read.modules[name].magnitude, module.magnitude)


def test_kohya_alpha_is_exact_for_half_precision_matrices(host: Host, record: AdapterRecord,
                                                          tmp_path: Path) -> None:
    module = random_weights(host, {QUERY: (3, 2.0)}, rslora=True).modules[QUERY]
    half = LoraWeights({QUERY: type(module)(module.down.bfloat16(), module.up.bfloat16(), 2.0, True)})
    read = by_kohya(half, host, record, tmp_path / "a.safetensors")
    assert read.modules[QUERY].scale == pytest.approx(2 / 3**0.5, rel=1e-7)


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl", "starter"])
def test_kohya_name_map_is_one_to_one(family: Any) -> None:
    host = skeleton(family)
    layers, names = host.layers(), kohya_format.name_map(host)
    assert len(names) == len(layers)
    assert set(names.values()) == set(layers)
    assert all(kohya_format.kohya_name(full, family) == name for name, full in names.items())
    # The other names are one to one too, and where a name is of both kinds it means the same layer.
    other = kohya_format.other_names(host)
    assert len(set(other.values())) == len(other) == sum(n.startswith("unet.") for n in layers)
    assert all(names[n] == other[n] for n in names.keys() & other.keys())


def test_kohya_names_of_sdxl_are_those_of_sd_scripts() -> None:
    names = kohya_format.name_map(skeleton("sdxl"))
    attention = "transformer_blocks.0.attn1.to_q"
    for name, full in {
        "input_blocks_0_0": "conv_in", "input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
        "input_blocks_4_0_in_layers_2": "down_blocks.1.resnets.0.conv1",
        "input_blocks_4_0_skip_connection": "down_blocks.1.resnets.0.conv_shortcut",
        "input_blocks_5_1_transformer_blocks_0_attn1_to_q": f"down_blocks.1.attentions.1.{attention}",
        "input_blocks_8_1_transformer_blocks_9_ff_net_0_proj":
            "down_blocks.2.attentions.1.transformer_blocks.9.ff.net.0.proj",
        "middle_block_0_emb_layers_1": "mid_block.resnets.0.time_emb_proj",
        "middle_block_1_proj_in": "mid_block.attentions.0.proj_in",
        "middle_block_2_out_layers_3": "mid_block.resnets.1.conv2",
        "output_blocks_0_1_proj_out": "up_blocks.0.attentions.0.proj_out",
        "output_blocks_2_2_conv": "up_blocks.0.upsamplers.0.conv",
        "output_blocks_5_1_transformer_blocks_1_attn2_to_out_0":
            "up_blocks.1.attentions.2.transformer_blocks.1.attn2.to_out.0",
        "output_blocks_8_0_in_layers_2": "up_blocks.2.resnets.2.conv1",
        "label_emb_0_2": "add_embedding.linear_2", "out_2": "conv_out",
    }.items():
        assert names[f"lora_unet_{name}"] == f"unet.{full}"
    assert names["lora_te1_text_model_encoder_layers_11_mlp_fc1"] == "text_encoder.encoder.layers.11.mlp.fc1"
    assert names["lora_te2_text_model_encoder_layers_31_self_attn_q_proj"] == (
        "text_encoder_2.text_model.encoder.layers.31.self_attn.q_proj")
    # sd-scripts says: 72 and 192 modules of the text encoders, 722 of the U-Net's transformers.
    assert sum(n.startswith("lora_te1_text_model_encoder") for n in names) == 72
    assert sum(n.startswith("lora_te2_text_model_encoder") for n in names) == 192
    assert sum("_transformer_blocks_" in n or "_proj_in" in n or "_proj_out" in n for n in names) == 722


def test_layers_that_no_denoiser_has_are_not_named() -> None:
    with pytest.raises(ValueError, match="is no layer"):
        kohya_format.kohya_name("unet.nowhere.to_q", "sdxl")


def test_kohya_names_are_those_of_sd_scripts() -> None:
    names = kohya_format.name_map(skeleton("sd1"))
    assert names["lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0"] == (
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0")
    assert names["lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_0_proj"] == (
        "unet.mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj")
    assert names["lora_te_text_model_encoder_layers_11_self_attn_q_proj"] == (
        "text_encoder.encoder.layers.11.self_attn.q_proj")
    # sd-scripts adapts 192 layers of the UNet's transformers and 72 of the text encoder.
    attention = {n for n in names if n.startswith("lora_unet_") and "_attentions_" in n}
    text = {n for n in names if n.startswith("lora_te_")}
    assert (len(attention), len(text)) == (192, 72)


def test_kohya_name_map_does_not_see_adapters(host: Host) -> None:
    before = kohya_format.name_map(host)
    filled(host).inject(host, "a")
    assert kohya_format.name_map(host) == before


def test_kohya_unknown_layer_is_named(host: Host, record: AdapterRecord) -> None:
    tensors, _ = kohya_format.encode(random_weights(host, MIXED), record)
    with pytest.raises(StudioError, match=r"another base.*'lora_unet_nowhere_to_q'"):
        kohya_format.decode({**tensors, "lora_unet_nowhere_to_q.alpha": torch.tensor(1.0)}, host, "a")


@pytest.mark.parametrize(("ending", "word"), [
    ("hada_w1_a", "LyCORIS"), ("lokr_w1", "LyCORIS"), ("lora_mid.weight", "unknown"),
    ("diff", "unknown"),
])
def test_kohya_tensors_of_another_form_are_named(host: Host, record: AdapterRecord, ending: str,
                                                 word: str) -> None:
    tensors, _ = kohya_format.encode(random_weights(host, MIXED), record)
    key = f"{kohya_format.kohya_name(QUERY)}.{ending}"
    with pytest.raises(StudioError, match=f"{word}.*{key}"):
        kohya_format.decode({**tensors, key: torch.ones(2, 2)}, host, "a")


def test_kohya_metadata_is_text_and_its_hashes_are_those_of_sd_scripts(host: Host, record: AdapterRecord,
                                                                      tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, *kohya_format.encode(random_weights(host, {QUERY: (12_000, 2.0)}), record))
    metadata, data = read_header(path).metadata, path.read_bytes()
    assert all(isinstance(v, str) for v in metadata.values())
    assert metadata["ss_network_dim"] == "12000" and metadata["ss_network_alpha"] == "2"
    assert metadata["modelspec.trigger_phrase"] == "zok cat"
    body = data[8 + int.from_bytes(data[:8], "little"):]
    assert metadata["sshs_model_hash"] == hashlib.sha256(body).hexdigest()
    # sd-scripts: sha256 of 64 KiB at 1 MiB of the file with its ss_ metadata only.
    training = {k: v for k, v in metadata.items() if k.startswith("ss_")}
    write_tensors(path, read_tensors(path)[1], training)
    block = path.read_bytes()[0x100000:0x110000]
    assert block and metadata["sshs_legacy_hash"] == hashlib.sha256(block).hexdigest()[:8]


def test_kohya_says_dynamic_for_mixed_ranks(host: Host, record: AdapterRecord) -> None:
    _, metadata = kohya_format.encode(random_weights(host, MIXED), record)
    assert metadata["ss_network_dim"] == metadata["ss_network_alpha"] == "Dynamic"


def test_kohya_names_the_base_version_that_a1111_filters_by(host: Host, record: AdapterRecord) -> None:
    sd1 = record.model_copy(update={"base": record.base.model_copy(update={"family": "sd1"})})
    weights = random_weights(host, {QUERY: (2, 2.0)})
    assert kohya_format.encode(weights, sd1)[1]["ss_base_model_version"] == "sd_v1"
    assert kohya_format.encode(weights, sd1)[1]["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert kohya_format.encode(weights, record)[1]["ss_base_model_version"] != "sd_v1"


@pytest.mark.parametrize(("family", "prediction", "version", "architecture"), [
    ("sd2", "epsilon", "sd_v2", "stable-diffusion-v2-512"),
    ("sd2", "v_prediction", "sd_v2_v", "stable-diffusion-v2-768-v"),
    ("sdxl", "epsilon", "sdxl_base_v1-0", "stable-diffusion-xl-v1-base"),
    ("sdxl", "v_prediction", "sdxl_base_v1-0", "stable-diffusion-xl-v1-base"),
])
def test_kohya_metadata_of_the_other_families(host: Host, record: AdapterRecord, family: str, prediction: str,
                                              version: str, architecture: str) -> None:
    base = record.base.model_copy(update={"family": family, "prediction": prediction})
    _, metadata = kohya_format.encode(random_weights(host, {QUERY: (2, 2.0)}),
                                      record.model_copy(update={"base": base}))
    assert metadata["ss_base_model_version"] == version
    assert metadata["modelspec.architecture"] == f"{architecture}/lora"
    assert metadata["ss_v2"] == str(family == "sd2")
    assert metadata["modelspec.prediction_type"] == ("v" if prediction == "v_prediction" else "epsilon")


def test_stock_diffusers_answers_the_same_with_our_kohya_file(host: Host, record: AdapterRecord,
                                                              tmp_path: Path) -> None:
    names = [n for n in host.layers() if n.startswith("unet.") and n.endswith(ATTENTION + FEED_FORWARD)]
    text = [n for n in host.layers() if n.startswith("text_encoder.") and n.endswith(TEXT_ENCODER)]
    adapter = filled(host, dict.fromkeys(names + text, (4, 2.0)))
    write_tensors(tmp_path / "a.safetensors", *kohya_format.encode(adapter.weights(), record))
    pipe, base, base_states = stock(host), output(host), text_states(host)
    pipe.load_lora_weights(str(tmp_path), weight_name="a.safetensors", local_files_only=True)
    adapter.inject(host, "a")
    ours, theirs = output(host), output(around(pipe, host))
    assert (ours - theirs).abs().max() < 1e-5 < (ours - base).abs().max()
    ours, theirs = text_states(host), text_states(around(pipe, host))
    assert (ours - theirs).abs().max() < 1e-5 < (ours - base_states).abs().max()


# damaged layers, in both forms


def halved(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[next(k for k in tensors if "lora_B" in k or "lora_up" in k)]


def other_rank(tensors: dict[str, torch.Tensor]) -> None:
    key = next(k for k in tensors if "lora_B" in k or "lora_up" in k)
    tensors[key] = tensors[key][:, :1]


def shape(size: tuple[int, ...]) -> Any:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for key in [k for k in tensors if k.endswith("weight")]:
            tensors[key] = torch.ones(size)
    return change


@pytest.mark.parametrize("form", ["diffusers", "kohya"])
@pytest.mark.parametrize("damage", [halved, other_rank, shape(()), shape((3,)), shape((0, 32)),
                                    shape((2, 2, 2)), shape((2, 2, 3, 3))])
def test_layers_that_do_not_fit_together_are_refused(host: Host, record: AdapterRecord, form: str,
                                                     damage: Any) -> None:
    weights = random_weights(host, {QUERY: (2, 2.0), CONV: (2, 2.0)})
    tensors, metadata = (diffusers_format.encode(weights) if form == "diffusers"
                         else kohya_format.encode(weights, record))
    damage(tensors)
    with pytest.raises(StudioError, match="'a'"):
        if form == "diffusers":
            diffusers_format.decode(tensors, metadata, "a")
        else:
            kohya_format.decode(tensors, host, "a")


@pytest.mark.parametrize(("ending", "tensor"), [
    ("alpha", torch.ones(2)), ("alpha", torch.tensor(float("inf"))),
    ("dora_scale", torch.ones(1, 32)), ("dora_scale", torch.ones(31, 1)),
])
def test_kohya_scales_that_do_not_fit_are_refused(host: Host, record: AdapterRecord, ending: str,
                                                  tensor: torch.Tensor) -> None:
    tensors, _ = kohya_format.encode(random_weights(host, {QUERY: (2, 2.0)}, dora=True), record)
    tensors[f"{kohya_format.kohya_name(QUERY)}.{ending}"] = tensor
    with pytest.raises(StudioError):
        kohya_format.decode(tensors, host, "a")


def test_each_form_is_recognised_by_its_names_alone(host: Host, record: AdapterRecord) -> None:
    weights = random_weights(host, MIXED)
    ours, theirs = (set(e(weights, *more)[0]) for e, more in (
        (diffusers_format.encode, ()), (kohya_format.encode, (record,))))
    assert diffusers_format.recognise(ours) and not diffusers_format.recognise(theirs)
    assert kohya_format.recognise(theirs) and not kohya_format.recognise(ours)
    assert not diffusers_format.recognise({"unet.conv_in.weight"})
    assert not kohya_format.recognise({"unet.conv_in.weight"})


def test_diffusers_settings_are_json_in_the_place_where_diffusers_looks(host: Host) -> None:
    _, metadata = diffusers_format.encode(random_weights(host, {QUERY: (4, 2.0), KEY: (2, 3.0)}))
    settings = json.loads(metadata["lora_adapter_metadata"])
    assert (settings["unet.r"], settings["unet.lora_alpha"]) == (4, 2.0)
    name = KEY.removeprefix("unet.")
    assert settings["unet.rank_pattern"] == {name: 2}
    assert settings["unet.alpha_pattern"] == {name: 3.0}
