"""Words with a LoRA as two files; what no LoRA can hold, refused, or nearly so with its error."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from huggingface_hub import ModelCard

from adapters.base import Adapter
from adapters.bundle import BundleAdapter
from adapters.errors import StudioError
from adapters.files import read_header
from adapters.formats import formats_of
from adapters.full import FullAdapter
from adapters.host import Host
from adapters.lora import LoraAdapter, LoraModule, LoraWeights
from adapters.perfusion import PerfusionAdapter
from adapters.record import AdapterRecord, Concept
from adapters.studio_file import save
from adapters.tensors import read_tensors
from adapters.tokens import TokensAdapter
from pipelines.base_models.clip_vocabulary import clip_tokenizer
from pipelines.base_models.skeleton import skeleton
from pipelines.exchange import export, import_file, writing
from pipelines.exchange.approximate import PROMPTS, full_as_lora, perfusion_as_lora
from pipelines.generator import Chosen, Generator
from tests.adapters.lora.tools import CONV, QUERY, TEXT, filled, layer, output

WORD = "<mycat>"


def word(width: int = 24, k: int = 2) -> TokensAdapter:
    return TokensAdapter({WORD: [torch.randn(k, width, generator=torch.Generator().manual_seed(5))]})


def stored(path: Path, adapter: Any, record: AdapterRecord, *, family: str = "starter") -> AdapterRecord:
    concept = Concept(name="mycat", noun="cat", trigger=WORD, learned=True)
    record = record.model_copy(update={
        "kind": adapter.kind, "spec": adapter.spec, "trigger": WORD, "concepts": (concept,),
        "base": record.base.model_copy(update={"family": family})})
    save(path, adapter, record)
    return record


def perfusion(host: Host) -> PerfusionAdapter:
    """A concept with random numbers of the host's shapes."""
    chance = torch.Generator().manual_seed(3)
    weights = {p: m.weight.shape for p, m in host.cross_attention().items()}
    width = next(iter(weights.values()))[1]
    i = torch.randn(width, generator=chance)
    return PerfusionAdapter(WORD, "cat", (torch.randn(1, width, generator=chance),), i,
                            i + torch.randn(width, generator=chance) / 4,
                            {p: torch.randn(s[0], generator=chance) for p, s in weights.items()})


def tuned(host: Host, layers: dict[str, int], *, others: float = 0.0) -> FullAdapter:
    """All of the host's weights, some layers changed by a matrix of a rank, and all else by a share."""
    chance, weights = torch.Generator().manual_seed(4), {}
    for part, network in host.components.items():
        for path, p in network.named_parameters():
            weight = p.detach().clone()
            rank = layers.get(f"{part}.{path.removesuffix('.weight')}") if path.endswith(".weight") else None
            if rank:
                flat = weight.flatten(1).shape
                change = torch.randn(flat[0], rank, generator=chance) @ torch.randn(rank, flat[1], generator=chance)
                weight += change.reshape(weight.shape) / 8
            weight += others * torch.randn(weight.shape, generator=chance)
            weights[f"{part}.{path}"] = weight
    return FullAdapter(weights)


# words and LoRA


@pytest.mark.parametrize("parts", [("words", "lora"), ("words", "tuned")])
def test_the_two_files_of_a_bundle_paint_the_studios_picture_in_stock_diffusers(
        host: Host, record: AdapterRecord, tmp_path: Path, parts: tuple[str, str]) -> None:
    adapter = BundleAdapter(dict(zip(parts, (word(), filled(host)), strict=True)))
    record = stored(tmp_path / "a.safetensors", adapter, record)
    report = export(tmp_path / "a.safetensors", "diffusers", tmp_path / "out.safetensors")
    assert [f.file.name for f in report.files] == ["out.safetensors", "out-words.safetensors"]
    assert "both files are needed" in report.text and "both files are needed" in " ".join(report.as_dict()["notes"])

    def picture(pipe: StableDiffusionPipeline, **text: Any) -> np.ndarray:
        return np.asarray(pipe(**text, num_inference_steps=4, guidance_scale=4.0, output_type="np", width=32, height=32,
                               generator=torch.Generator("cpu").manual_seed(3)).images[0])

    prompt = f"a photo of {WORD} on the beach"
    pipe = StableDiffusionPipeline(
        vae=host.vae, tokenizer=clip_tokenizer(), scheduler=copy.deepcopy(host.scheduler),
        **copy.deepcopy(host.components), safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    nothing = picture(pipe, prompt=prompt)
    for file in report.files:
        load_it = pipe.load_lora_weights if file.holds == "lora" else pipe.load_textual_inversion
        load_it(str(tmp_path), weight_name=file.file.name, local_files_only=True)
    theirs = picture(pipe, prompt=prompt)
    generator = Generator(host)
    with generator.using([Chosen(adapter, record)]):
        text = host.text.encode_prompts([prompt, ""]).states
        ours = picture(generator.pipeline, prompt_embeds=text[:1], negative_prompt_embeds=text[1:])
    assert np.abs(ours - theirs).max() < 1e-4 < np.abs(ours - nothing).max()


@pytest.mark.parametrize("format", ["diffusers", "kohya"])
def test_the_lora_of_a_bundle_holds_lora_keys_only(record: AdapterRecord, tmp_path: Path, format: str) -> None:
    host = skeleton("sd1")
    lora = LoraAdapter.from_weights(LoraWeights({
        "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q": LoraModule(
            torch.randn(2, 1280), torch.randn(1280, 2), 1.0)}))
    lora.weights().check_fits(host, "a")
    stored(tmp_path / "a.safetensors", BundleAdapter({"words": word(768), "lora": lora}), record, family="sd1")
    report = export(tmp_path / "a.safetensors", format, tmp_path / "out.safetensors")
    assert all("lora" in k or k.endswith("alpha") for k in read_header(tmp_path / "out.safetensors").tensors)
    kinds = [import_file(f.file, "x")[1].kind for f in report.files]
    assert kinds == ["lora", "tokens"]
    key = {"diffusers": WORD, "kohya": "emb_params"}[format]
    assert set(read_header(tmp_path / "out-words.safetensors").tensors) == {key}
    assert (tmp_path / "out.json").exists() and (tmp_path / "out-words.json").exists()


@pytest.mark.parametrize("format", ["diffusers", "kohya"])
def test_a_lora_says_what_it_is(record: AdapterRecord, tmp_path: Path, format: str) -> None:
    lora = LoraAdapter.from_weights(LoraWeights({
        "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q": LoraModule(
            torch.randn(2, 1280), torch.randn(1280, 2), 1.0)}))
    stored(tmp_path / "a.safetensors", lora, record, family="sd1")
    export(tmp_path / "a.safetensors", format, tmp_path / "out.safetensors")
    metadata = read_header(tmp_path / "out.safetensors").metadata
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert metadata["modelspec.resolution"] == "512x512" and metadata["modelspec.trigger_phrase"] == WORD
    assert ("lora_adapter_metadata" in metadata) == (format == "diffusers")


# what no LoRA can hold


@pytest.mark.parametrize("format", ["diffusers", "kohya", "a1111"])
@pytest.mark.parametrize(("kind", "reason"), [("perfusion", "gate"), ("full", "full rank")])
def test_what_is_no_lora_is_refused_with_the_reason(host: Host, record: AdapterRecord, tmp_path: Path, format: str,
                                                    kind: str, reason: str) -> None:
    adapter: Adapter = perfusion(host) if kind == "perfusion" else BundleAdapter(
        {"words": word(), "tuned": tuned(host, {QUERY: 1})})
    record = stored(tmp_path / "a.safetensors", adapter, record)
    assert formats_of(record) == ("studio",)
    with pytest.raises(StudioError, match=f"{reason}.*--approximate"):
        export(tmp_path / "a.safetensors", format, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_an_approximation_of_a_lower_rank_than_the_change_is_off_by_what_it_leaves_out(host: Host) -> None:
    adapter = tuned(host, {QUERY: 3, CONV: 3, TEXT: 3})
    weights, errors = full_as_lora(adapter, host, 3)
    assert errors["relative_error"] < 1e-2 and errors["in_no_lora"] == 0
    assert set(weights.modules) == {QUERY, CONV, TEXT}
    less, more = full_as_lora(adapter, host, 1)
    changes = {n: adapter.state()[f"{n}.weight"].half().float() - layer(host, n).weight.half().float()
               for n in weights.modules}
    left = sum(float((changes[n] - m.delta()).square().sum()) for n, m in less.modules.items())
    size = sum(float(c.square().sum()) for c in changes.values())
    assert more["relative_error"] == pytest.approx((left / size) ** 0.5, rel=1e-4) and more["relative_error"] > 0.1
    for n, module in less.modules.items():
        best = torch.linalg.svdvals(changes[n].flatten(1))
        assert float((changes[n] - module.delta()).norm()) == pytest.approx(float(best[1:].norm()), rel=1e-3)


def test_what_is_in_no_layer_counts_as_lost(host: Host) -> None:
    _, errors = full_as_lora(tuned(host, {QUERY: 2}, others=0.01), host, 10_000)
    assert 0 < errors["in_no_lora"] <= errors["relative_error"] * (1 + 1e-6) < 1


def test_full_tuning_written_as_a_lora_of_enough_rank_answers_alike(host: Host, record: AdapterRecord, tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = BundleAdapter({"words": word(), "tuned": tuned(host, {QUERY: 2, CONV: 2, TEXT: 2})})
    stored(tmp_path / "a.safetensors", adapter, record.model_copy(update={"provenance": {"base": "tiny"}}))
    monkeypatch.setattr(writing, "load_base", lambda spec, offline: {"tiny": host}[spec])
    report = export(tmp_path / "a.safetensors", "diffusers", tmp_path / "out.safetensors", approximate=2)
    assert report.errors["rank"] == 2 and report.errors["relative_error"] < 1e-2
    assert "approximate" in report.text and "off by" in report.text and "both files are needed" in report.text
    base = output(host)
    adapter.inject(host, "a")
    ours = output(host)
    adapter.eject()
    lora = LoraAdapter.from_file(*read_tensors_and_metadata(report.file), {}, "out")
    lora.inject(host, "a")
    assert (ours - output(host)).abs().max() < 0.02 * (ours - base).abs().max()


def read_tensors_and_metadata(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    header, tensors = read_tensors(path)
    return tensors, header.metadata


def test_weights_of_another_base_are_refused(host: Host) -> None:
    weights = tuned(host, {QUERY: 1}).state()
    weights.pop("unet.conv_in.bias")
    with pytest.raises(StudioError, match=r"unet\.conv_in\.bias.*--base"):
        full_as_lora(FullAdapter(weights), host, 1)
    with pytest.raises(StudioError, match="nothing to write"):
        full_as_lora(tuned(host, {}), host, 1)


def test_perfusion_without_its_gate_is_the_edit_with_r_for_the_gate(host: Host) -> None:
    adapter = perfusion(host)
    concept = adapter.concept
    weights, errors = perfusion_as_lora(adapter, host)
    states = torch.randn(2, 7, 24, generator=torch.Generator().manual_seed(8))
    r = states @ concept.v / (concept.i @ concept.v)
    for path, module in host.cross_attention().items():
        w, target = module.weight, concept.targets[path]
        wanted = F.linear(states - r[..., None] * concept.i, w) + r[..., None] * target
        got = F.linear(states, w + weights.modules[f"unet.{path}"].delta())
        assert weights.modules[f"unet.{path}"].rank == 1
        assert (wanted - got).abs().max() < 1e-4
    assert 0 < errors["layer_outputs"] < 10
    assert host.text.words == () and "perfusion" not in host.shared


def test_perfusions_error_is_that_of_the_layers_outputs(host: Host) -> None:
    adapter = perfusion(host)
    weights, errors = perfusion_as_lora(adapter, host)
    outputs: dict[str, list[torch.Tensor]] = {p: [] for p in host.cross_attention()}
    adapter.inject(host, "a")
    states = host.text.encode_prompts([p.format(WORD) for p in PROMPTS]).states
    for path, module in host.cross_attention().items():
        outputs[path].append(module(states))
    adapter.eject()
    for path, module in host.cross_attention().items():
        outputs[path].append(F.linear(states, module.weight + weights.modules[f"unet.{path}"].delta()))
    wanted = np.mean([float((a - b).norm() / a.norm()) for a, b in outputs.values()])
    assert errors["layer_outputs"] == pytest.approx(wanted, rel=1e-4)


def test_perfusion_goes_out_as_a_lora_and_a_word_that_are_marked_approximate(
        host: Host, record: AdapterRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path / "a.safetensors", perfusion(host), record.model_copy(update={"provenance": {"base": "gone"}}))
    monkeypatch.setattr(writing, "load_base", lambda spec, offline: {"here": host}[spec])
    report = export(tmp_path / "a.safetensors", "diffusers", tmp_path / "out.safetensors", approximate=8, base="here")
    assert [f.holds for f in report.files] == ["lora", "words"]
    assert f"{report.errors['layer_outputs']:.1%}" in report.text and "without its gate" in report.text
    card = ModelCard((tmp_path / "out.md").read_text("utf-8")).data
    assert card.library_name == "diffusers" and {"lora", "textual_inversion"} <= set(card.tags or [])
    with pytest.raises(StudioError, match="a1111"):
        export(tmp_path / "a.safetensors", "a1111", tmp_path / "other.safetensors", approximate=8)


def test_a_base_of_other_weights_is_named(host: Host, record: AdapterRecord, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    other = record.model_copy(update={"base": record.base.model_copy(update={"hash": "f" * 16})})
    stored(tmp_path / "a.safetensors", perfusion(host), other)
    monkeypatch.setattr(writing, "load_base", lambda spec, offline: host)
    report = export(tmp_path / "a.safetensors", "diffusers", tmp_path / "out.safetensors", approximate=1, base="x")
    assert any("other weights" in n for n in report.notes)


def test_without_a_base_an_approximation_is_refused(record: AdapterRecord, tmp_path: Path) -> None:
    adapter = perfusion(skeleton("sd1"))
    stored(tmp_path / "a.safetensors", adapter, record, family="sd1")
    with pytest.raises(StudioError, match=r"give it on the command line \(--base\)"):
        export(tmp_path / "a.safetensors", "kohya", tmp_path / "out.safetensors", approximate=4)


@pytest.mark.parametrize("rank", [0, -1, 10**6])
def test_a_rank_that_is_none_is_refused(host: Host, record: AdapterRecord, tmp_path: Path, rank: int) -> None:
    stored(tmp_path / "a.safetensors", perfusion(host), record)
    with pytest.raises(StudioError, match="is no rank"):
        export(tmp_path / "a.safetensors", "kohya", tmp_path / "out.safetensors", approximate=rank)


# the studio's own files


def test_perfusions_file_on_stable_diffusion_1_is_small(record: AdapterRecord, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    record = record.model_copy(update={"provenance": {"config": {f"setting {n}": 0.123456 for n in range(60)}}})
    stored(path, perfusion(skeleton("sd1")), record, family="sd1")
    tensors = read_tensors(path)[1]
    assert sum(t.numel() * t.element_size() for t in tensors.values()) == 109_056
    assert path.stat().st_size <= 128 * 1024
    assert import_file(path, "x")[1].kind == "perfusion"


@pytest.mark.parametrize("change", ["lose", "cut"])
@pytest.mark.parametrize("kind", ["perfusion", "tokens", "full", "bundle"])
def test_a_studio_file_that_does_not_fit_its_base_is_refused(record: AdapterRecord, tmp_path: Path, kind: str,
                                                             change: str) -> None:
    host = skeleton("starter")
    size = host.text.embedding().embedding_dim
    whole = {f"{part}.{path}": torch.zeros(p.shape, dtype=torch.half) for part, network in host.components.items()
             for path, p in network.named_parameters()}
    adapters: dict[str, Any] = {"perfusion": perfusion(host), "tokens": word(size), "full": FullAdapter(whole),
                                "bundle": BundleAdapter({"words": word(size)})}
    adapter = adapters[kind]
    stored(tmp_path / "a.safetensors", adapter, record)
    assert import_file(tmp_path / "a.safetensors", "x")[1].kind == kind
    if kind == "perfusion":
        targets = dict(adapter.concept.targets)
        first = next(iter(targets))
        targets = {p: t for p, t in targets.items() if p != first} if change == "lose" else targets | {
            first: targets[first][:5]}
        adapter = PerfusionAdapter(WORD, "cat", (torch.ones(1, size),), adapter.concept.i, adapter.concept.v, targets)
    elif kind == "full":
        whole.pop("unet.conv_in.bias") if change == "lose" else whole.update({"unet.conv_in.bias": torch.zeros(3)})
        adapter = FullAdapter(whole)
    else:
        bad = TokensAdapter({WORD: [torch.ones(1, size)] * 2}) if change == "lose" else word(size + 1)
        adapter = bad if kind == "tokens" else BundleAdapter({"words": bad})
    stored(tmp_path / "b.safetensors", adapter, record)
    with pytest.raises(StudioError, match=r"'b\.safetensors' was trained for another base"):
        import_file(tmp_path / "b.safetensors", "x")
