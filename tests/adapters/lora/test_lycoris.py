"""LoHa and LoKr files as LoRA of equal updates; the rest of the family by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoHaConfig, LoKrConfig, inject_adapter_in_model
from safetensors.torch import save_file

from adapters.errors import StudioError
from adapters.host import Host
from adapters.lora import LoraAdapter, lycoris
from adapters.lora.kohya_format import kohya_name
from adapters.lora.weights import LoraWeights
from pipelines.exchange import import_file
from tests.adapters.lora.tools import CONV, QUERY, TEXT, layer

LAYERS = (QUERY, CONV, TEXT)
CONFIGS = {
    "loha": LoHaConfig(r=2, alpha=3),
    "loha with cores": LoHaConfig(r=2, alpha=3, use_effective_conv2d=True),
    "loha above the layer's rank": LoHaConfig(r=6, alpha=3),
    # Its convolution has two whole factors, which LyCORIS never scales and PEFT does: alpha / r is 1.
    "lokr": LoKrConfig(r=2, alpha=2, decompose_factor=4),
    "lokr with cores": LoKrConfig(r=1, alpha=3, decompose_factor=4, use_effective_conv2d=True),
    "lokr of two products": LoKrConfig(r=1, alpha=3, decompose_both=True, decompose_factor=4),
}


def by_peft(host: Host, name: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(tensors of a LyCORIS file, updates by layer) with PEFT's own layers and arithmetic."""
    tensors, updates = {}, {}
    for full in LAYERS:
        part, path = full.split(".", 1)
        CONFIGS[name].target_modules = [path]
        inject_adapter_in_model(CONFIGS[name], host.components[part], "a")
        module = host.components[part].get_submodule(path)
        chance = torch.Generator().manual_seed(len(full))
        factors = {k.split(".")[0]: p for k, p in module.named_parameters() if "hada_" in k or "lokr_" in k}
        for p in factors.values():
            p.data = torch.randn(p.shape, generator=chance) / 2
        tensors |= {f"{kohya_name(full)}.{k}": p.detach().clone() for k, p in factors.items()}
        tensors[f"{kohya_name(full)}.alpha"] = torch.tensor(float(CONFIGS[name].alpha))
        updates[full] = module.get_delta_weight("a").detach().clone()
    return tensors, updates


@pytest.mark.parametrize("name", CONFIGS)
def test_the_updates_are_those_of_pefts_own_layers(host: Host, tiny: Host, name: str) -> None:
    tensors, updates = by_peft(host, name)
    weights = lycoris.decode(tensors, tiny, "a")
    assert set(weights.modules) == set(LAYERS)
    for full, update in updates.items():
        module = weights.modules[full]
        assert module.rank <= min(update.shape[0], update[0].numel())
        assert (module.delta() - update).abs().max() < 1e-5 * update.abs().max()


def test_two_whole_factors_have_no_scale(tiny: Host) -> None:
    out, width = layer(tiny, QUERY).weight.shape
    w1, w2 = torch.randn(2, 4), torch.randn(out // 2, width // 4)
    name = kohya_name(QUERY)
    module = lycoris.decode({f"{name}.lokr_w1": w1, f"{name}.lokr_w2": w2, f"{name}.alpha": torch.tensor(9.0)},
                            tiny, "a").modules[QUERY]
    assert torch.allclose(module.delta(), torch.kron(w1, w2), atol=1e-6)


def test_what_was_read_goes_into_a_base(host: Host, tiny: Host) -> None:
    tensors, updates = by_peft(host, "loha")
    weights = lycoris.decode(tensors, tiny, "a")
    weights.check_fits(tiny, "a")
    assert LoraAdapter.from_weights(LoraWeights(weights.modules)).layers.keys() == updates.keys()


@pytest.mark.parametrize("damage", ["lose", "cut"])
def test_factors_that_do_not_fit_together_are_refused(host: Host, tiny: Host, damage: str) -> None:
    for name in ("loha", "lokr"):
        tensors, _ = by_peft(host if name == "loha" else _fresh(tiny), name)
        key = next(k for k in tensors if k.endswith(("hada_w1_b", "lokr_w2_b")))
        tensors.pop(key) if damage == "lose" else tensors.update({key: tensors[key][:, :3]})
        with pytest.raises(StudioError, match="'a' does not fit together"):
            lycoris.decode(tensors, tiny, "a")


def _fresh(tiny: Host) -> Host:
    import copy

    return Host(tiny.identity, copy.deepcopy(tiny.components), tiny.tokenizer, tiny.vae, tiny.scheduler)


def test_layers_of_another_base_and_unknown_parts_are_refused(host: Host, tiny: Host) -> None:
    tensors, _ = by_peft(host, "loha")
    with pytest.raises(StudioError, match="trained for another base"):
        lycoris.decode({f"lora_unet_nowhere.{k.partition('.')[2]}": t for k, t in tensors.items()}, tiny, "a")
    with pytest.raises(StudioError, match="does not read"):
        lycoris.decode(tensors | {f"{kohya_name(QUERY)}.dora_scale": torch.ones(32)}, tiny, "a")


PLACE = "lora_unet_mid_block_attentions_0_proj_in"


@pytest.mark.parametrize(("keys", "kind"), [
    (("weight", "on_input"), "IA3"), (("a1.weight", "a2.weight", "b1.weight", "b2.weight"), "GLoRA"),
    (("diff",), "full weight differences"),
    (("lora_down.weight", "lora_up.weight", "diff_b"), "full weight differences"),
    (("oft_blocks",), "OFT"), (("w_norm", "b_norm"), "trained norms"),
    (("lora_down.weight", "lora_mid.weight", "lora_up.weight"), "LoCon with a Tucker core"),
])
def test_others_of_the_family_are_refused_by_name(tmp_path: Path, keys: tuple[str, ...], kind: str) -> None:
    save_file({f"{PLACE}.{k}": torch.ones(2, 2) for k in keys}, tmp_path / "a.safetensors")
    with pytest.raises(StudioError, match=rf"'a\.safetensors' is {kind}, which"):
        import_file(tmp_path / "a.safetensors", "a")


def test_embeddings_inside_a_lora_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"bundle_emb.w.string_to_param.*": torch.ones(1, 768), f"{PLACE}.lora_down.weight": torch.ones(2, 2)},
              tmp_path / "a.safetensors")
    with pytest.raises(StudioError, match="a LoRA with embeddings inside it"):
        import_file(tmp_path / "a.safetensors", "a")


def test_a_file_of_loha_and_lora_layers_is_read_whole(tmp_path: Path) -> None:
    other = "lora_unet_mid_block_attentions_0_proj_out"
    loha = {f"{PLACE}.hada_w{n}_{ab}": torch.randn((1280, 2) if ab == "a" else (2, 1280)) for n in (1, 2)
            for ab in "ab"}
    save_file({**loha, f"{other}.lora_down.weight": torch.randn(2, 1280, 1, 1),
               f"{other}.lora_up.weight": torch.randn(1280, 2, 1, 1)}, tmp_path / "a.safetensors")
    adapter, record = import_file(tmp_path / "a.safetensors", "a")
    assert isinstance(adapter, LoraAdapter) and record.base.family == "sd1"
    module = adapter.weights().modules["unet.mid_block.attentions.0.proj_in"]
    wanted = (loha[f"{PLACE}.hada_w1_a"] @ loha[f"{PLACE}.hada_w1_b"]) * (
        loha[f"{PLACE}.hada_w2_a"] @ loha[f"{PLACE}.hada_w2_b"])
    assert (module.rank, set(adapter.layers)) == (4, {"unet.mid_block.attentions.0.proj_in",
                                                      "unet.mid_block.attentions.0.proj_out"})
    assert torch.allclose(module.delta().flatten(1), wanted, atol=1e-4)
