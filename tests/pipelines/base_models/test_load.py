from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from adapters.errors import StudioError
from pipelines.base_models.families import CONFIGS
from pipelines.base_models.load import load_base
from pipelines.base_models.locate import fingerprint, locate
from pipelines.base_models.skeleton import skeleton
from tests.pipelines.base_models import ldm_names
from tests.pipelines.base_models.single_file import shapes

ROOT = Path(__file__).parents[3]
MARKER = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


def offline(tmp_path: Path, *arguments: str) -> str:
    """Output of a module run in a process that has an empty cache and may not ask the hub."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty-cache")})
    assert done.returncode == 0, done.stderr[-2000:]
    assert "TOUCHED" not in done.stdout
    return done.stdout


def narrow_unet(width: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(32, 64, 64, 64), layers_per_block=1,
        cross_attention_dim=width, attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3)


@pytest.fixture(scope="module")
def made(tokenizer: Any) -> StableDiffusionPipeline:
    """Stable Diffusion 1.x with few channels."""
    text = CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=32, num_hidden_layers=1,
                                        bos_token_id=49406, eos_token_id=49407))
    vae = AutoencoderKL(block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4,
                        up_block_types=("UpDecoderBlock2D",) * 4)
    return StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=narrow_unet(768),
        scheduler=PNDMScheduler.from_pretrained(CONFIGS["sd1"] / "scheduler"), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False)


@pytest.fixture(scope="module")
def folder(made: StableDiffusionPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "small-sd1"
    made.save_pretrained(path)
    return path


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(folder, tmp_path / "broken", copy_function=os.link))


def test_a_base_whose_safety_checker_is_a_pickle_is_not_opened(broken: Path) -> None:
    (broken / "safety_checker").mkdir()
    (broken / "safety_checker" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(StudioError, match=r"safety checker of the base 'broken'.*holds pytorch_model\.bin; convert"):
        load_base(str(broken), offline=True)


def replace(path: Path, data: bytes) -> None:
    """Write without touching the original that the copy is a link to."""
    path.unlink()
    path.write_bytes(data)


def test_a_diffusers_folder_loads_with_equal_weights(folder: Path,
                                                     made: StableDiffusionPipeline) -> None:
    host = load_base(str(folder))
    assert (host.identity.family, host.identity.name) == ("sd1", "small-sd1")
    for part, module in {**host.components, "vae": host.vae}.items():
        expected = getattr(made, part).state_dict()
        loaded = module.state_dict()
        assert loaded.keys() == expected.keys()
        assert all(torch.equal(loaded[k], expected[k]) for k in expected), part


def test_a_loaded_base_is_frozen_in_evaluation_mode(folder: Path) -> None:
    host = load_base(str(folder))
    for module in (*host.components.values(), host.vae):
        assert not any(p.requires_grad for p in module.parameters())
        assert not module.training
    assert (host.resolution, host.downsampling) == (64, 8)


def test_a_folder_opens_without_network_and_a_hub_id_is_refused_in_a_sentence(folder: Path,
                                                                             tmp_path: Path) -> None:
    lines = offline(tmp_path, "tests.pipelines.base_models.no_network", str(folder), "owner/name")
    assert "family sd1" in lines
    refusal = re.search(r"refusal (.+)", lines)
    assert refusal and "The base 'owner/name' is not here" in refusal[1]


def test_offline_a_hub_id_that_is_not_cached_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudioError, match="is not here, and nothing is fetched unasked; add it under System first"):
        load_base("owner/name-that-is-not-here", offline=True)


@pytest.mark.parametrize(("width", "words"), [
    (1024, "text encoder gives features of width 768, its denoiser wants 1024"),
    (2048, "unknown family .text features of width 2048"), (64, "unknown family .text features of width 64"),
])
def test_text_features_of_another_width_are_refused(broken: Path, width: int, words: str) -> None:
    shutil.rmtree(broken / "unet")
    narrow_unet(width).save_pretrained(broken / "unet")
    with pytest.raises(StudioError, match=words):
        load_base(str(broken))


def test_other_blocks_are_refused(broken: Path) -> None:
    shutil.rmtree(broken / "unet")
    UNet2DConditionModel(block_out_channels=(32,), down_block_types=("CrossAttnDownBlock2D",),
                         up_block_types=("CrossAttnUpBlock2D",), cross_attention_dim=768,
                         layers_per_block=1).save_pretrained(broken / "unet")
    with pytest.raises(StudioError, match="unknown family"):
        load_base(str(broken))


@pytest.mark.parametrize("damage", ["weights gone", "config gone", "config no JSON", "tensor gone",
                                    "config of nonsense", "text encoder gone", "scheduler gone"])
def test_a_folder_that_is_not_whole_is_refused(broken: Path, damage: str) -> None:
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    config = broken / "unet" / "config.json"
    if damage == "weights gone":
        weights.unlink()
    elif damage == "config gone":
        config.unlink()
    elif damage == "config no JSON":
        replace(config, b"{")
    elif damage == "config of nonsense":
        nonsense = {**json.loads(config.read_text()), "block_out_channels": "many"}
        replace(config, json.dumps(nonsense).encode())
    elif damage == "tensor gone":
        tensors = load_file(weights)
        del tensors["conv_in.weight"]
        weights.unlink()
        save_file(tensors, weights)
    else:
        shutil.rmtree(broken / damage.removesuffix(" gone").replace(" ", "_"))
    with pytest.raises(StudioError, match="base 'broken' could not be loaded"):
        load_base(str(broken))


def test_pickled_weights_are_never_read(broken: Path) -> None:
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), broken / "unet" / "diffusion_pytorch_model.bin")
    weights.unlink()
    with pytest.raises(StudioError, match="could not be loaded"):
        load_base(str(broken))


@pytest.mark.parametrize(("tensors", "words"), [
    ({"x": torch.ones(2)}, "is no Stable Diffusion checkpoint"),
    ({MARKER: torch.ones(320, 64)}, "unknown family .text features of width 64"),
    ({MARKER: torch.ones(320, 768)}, "'a' could not be loaded"),
])
def test_a_file_that_is_no_sd1_checkpoint_is_refused(tmp_path: Path, tensors: dict[str, torch.Tensor],
                                                     words: str) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(StudioError, match=words):
        load_base(str(tmp_path / "a.safetensors"))


# locate


def test_starter_folder_file_and_hub_id_are_told_apart(folder: Path, tmp_path: Path) -> None:
    save_file({"x": torch.ones(2)}, tmp_path / "a.safetensors")
    specs = ("starter", f" {folder} ", str(tmp_path / "a.safetensors"), "owner/na.me-1")
    found = [locate(s) for s in specs]
    assert [f.form for f in found] == ["starter", "folder", "file", "hub"]
    assert [f.name for f in found] == ["starter", "small-sd1", "a", "owner/na.me-1"]


@pytest.mark.parametrize("spec", [
    "", "nothing-here", "/nothing/here", "a/b/c", "../x", "a\0b", "~nobody-here/x", "x" * 5000,
    "https://example.org/a.safetensors",
])
def test_what_is_nowhere_is_refused(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudioError, match="No base model at") as refusal:
        locate(spec or "./none")
    assert len(str(refusal.value)) < 500


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"without 'model_index\.json'"):
        locate(str(tmp_path))


@pytest.mark.parametrize(("index", "words"), [
    ("{", "is damaged"), ("[]", "is damaged"), ("{}", "holds a None"),
    ('{"_class_name": "StableDiffusionXLImg2ImgPipeline"}', "holds SDXL's refiner"),
    ('{"_class_name": "StableDiffusionInpaintPipeline"}', "holds an inpainting model"),
    ('{"_class_name": "StableDiffusion3Pipeline"}', "holds a Stable Diffusion 3 model"),
    ('{"_class_name": "FluxPipeline"}', "holds a Flux model"),
    ('{"_class_name": "StableDiffusionPipeline"}', "holds no .safetensors weights"),
    ('{"_class_name": "StableDiffusionXLPipeline"}', "holds no .safetensors weights"),
])
def test_a_folder_of_another_kind_is_refused(tmp_path: Path, index: str, words: str) -> None:
    (tmp_path / "model_index.json").write_text(index)
    with pytest.raises(StudioError, match=words):
        locate(str(tmp_path))


def test_a_folder_with_a_cut_off_weight_file_is_refused_before_it_is_loaded(broken: Path) -> None:
    weights = broken / "vae" / "diffusion_pytorch_model.safetensors"
    replace(weights, weights.read_bytes()[:-100])
    with pytest.raises(StudioError, match="not a whole safetensors file"):
        locate(str(broken))


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.bin", "model"])
def test_other_checkpoint_files_are_not_opened(tmp_path: Path, name: str) -> None:
    torch.save({"x": torch.ones(1)}, tmp_path / name)
    with pytest.raises(StudioError, match=r"is not a \.safetensors file; other checkpoint formats"):
        locate(str(tmp_path / name))


def test_a_garbage_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(os.urandom(5000))
    with pytest.raises(StudioError, match="not a whole safetensors file"):
        locate(str(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("place", [0, 50, 120_000, 1_900_000])
def test_a_change_in_the_header_or_a_sampled_block_changes_the_fingerprint(tmp_path: Path,
                                                                          place: int) -> None:
    data = bytearray(os.urandom(1_000_000)) * 2
    (tmp_path / "a").write_bytes(data)
    first = fingerprint(tmp_path / "a")
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert fingerprint(tmp_path / "a") == first
    data[place] ^= 1
    (tmp_path / "a").write_bytes(data)
    assert fingerprint(tmp_path / "a") != first


def test_fingerprints_of_a_longer_file_differ(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10))
    (tmp_path / "b").write_bytes(bytes(11))
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")


def test_the_identity_of_a_folder_is_its_denoisers(folder: Path, broken: Path) -> None:
    one = load_base(str(folder)).identity.hash
    assert one == load_base(str(broken)).identity.hash != ""
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["conv_in.weight"] += 1
    weights.unlink()
    save_file(tensors, weights)
    assert load_base(str(broken)).identity.hash != one


# the tokenizer and the original layout


@pytest.mark.parametrize(("text", "ids"), [
    ("a photo of a cat", [49406, 320, 1125, 539, 320, 2368, 49407]),
    ("A  Photo of a CAT", [49406, 320, 1125, 539, 320, 2368, 49407]),
    ("", [49406, 49407]),
])
def test_the_tokenizer_gives_the_ids_of_clip(tokenizer: Any, text: str, ids: list[int]) -> None:
    assert tokenizer(text).input_ids == ids


def test_the_tokenizer_has_clips_sizes(tokenizer: Any) -> None:
    assert (len(tokenizer), tokenizer.model_max_length) == (49408, 77)
    padded = tokenizer("cat", padding="max_length").input_ids
    assert padded == [49406, 2368] + [49407] * 75


def test_the_skeleton_has_the_size_of_stable_diffusion_1() -> None:
    host = skeleton("sd1")
    assert sum(p.numel() for p in host.unet.parameters()) == 859_520_964
    assert sum(p.numel() for p in host.text_encoder.parameters()) == 123_060_480
    assert all(p.is_meta for p in host.unet.parameters())


def test_original_names_are_one_to_one_with_ours() -> None:
    names = [getattr(ldm_names, part)(n) for part, found in shapes().items() for n in found]
    assert len(set(names)) == len(names)
    assert MARKER in names
    assert sum(n.startswith("model.diffusion_model.") for n in names) == 686  # as in v1-5-pruned


@pytest.mark.slow
def test_an_original_checkpoint_of_full_size_opens_without_network(tmp_path: Path) -> None:
    assert "compared 1130" in offline(tmp_path, "tests.pipelines.base_models.single_file", str(tmp_path))
    assert not list(tmp_path.glob("*.safetensors"))
