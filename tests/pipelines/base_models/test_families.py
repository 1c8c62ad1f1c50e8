from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from adapters.errors import StudioError
from adapters.files import read_header
from adapters.identity import FAMILIES, family_hint
from pipelines.base_models import single_file
from pipelines.base_models.families import CONFIGS, family_of_folder, family_of_header, find_family
from pipelines.base_models.locate import locate
from pipelines.base_models.skeleton import skeleton

ROOT = Path(__file__).parents[3]
UNET = "model.diffusion_model."
FIRST, LARGE = (f"{UNET}input_blocks.{n}.1.transformer_blocks.0.attn2.to_k.weight" for n in (1, 4))
INPUT = f"{UNET}input_blocks.0.0.weight"


@pytest.mark.parametrize(("family", "sizes"), [
    ("sd1", {"unet": 859_520_964, "text_encoder": 123_060_480}),
    ("sd2", {"unet": 865_910_724, "text_encoder": 340_387_840}),
    ("sdxl", {"unet": 2_567_463_684, "text_encoder": 123_060_480, "text_encoder_2": 694_659_840}),
])
def test_skeletons_have_the_published_sizes(family: Any, sizes: dict[str, int]) -> None:
    found = {n: sum(p.numel() for p in m.parameters()) for n, m in skeleton(family).components.items()}
    assert found == sizes


@pytest.mark.parametrize(("family", "prediction", "tensors", "padding"), [
    ("sd2", "v_prediction", 960, "!"), ("sdxl", "epsilon", 931, "<|endoftext|> !"),
    pytest.param("sd2", "epsilon", 960, "!", marks=pytest.mark.slow),
    pytest.param("sdxl", "v_prediction", 931, "<|endoftext|> !", marks=pytest.mark.slow),
])
def test_folder_and_original_file_open_offline_with_equal_tensors(tmp_path: Path, family: str, prediction: str,
                                                                  tensors: int, padding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipelines.base_models.opens_offline", family, str(tmp_path), prediction],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty-cache")})
    assert done.returncode == 0, done.stderr[-2000:]
    assert "TOUCHED" not in done.stdout
    precision = "torch.float32 torch.float32" if family == "sdxl" else "torch.float16 torch.float16"
    for name in ("base", "original.safetensors"):
        assert f"compared {tensors} of {name}" in done.stdout
        assert f"autoencoder of {name} in {precision}" in done.stdout
    assert done.stdout.count(f"padded with {padding}\n") == 2


# headers


def header_of(tmp_path: Path, shapes: dict[str, tuple[int, ...]]) -> Any:
    save_file({k: torch.zeros(s) for k, s in shapes.items()}, tmp_path / "a.safetensors")
    return read_header(tmp_path / "a.safetensors")


@pytest.mark.parametrize(("shapes", "family"), [
    ({FIRST: (8, 768), INPUT: (8, 4, 3, 3)}, "sd1"), ({FIRST: (8, 768)}, "sd1"), ({FIRST: (8, 1024)}, "sd2"),
    ({LARGE: (8, 2048), f"{UNET}label_emb.0.0.weight": (8, 2816)}, "sdxl"),
])
def test_a_header_tells_the_family(tmp_path: Path, shapes: dict[str, tuple[int, ...]], family: str) -> None:
    assert family_of_header(header_of(tmp_path, shapes), "a") == family


@pytest.mark.parametrize(("shapes", "words"), [
    ({FIRST: (8, 768), INPUT: (8, 9, 3, 3)}, "an inpainting model .9 input channels"),
    ({LARGE: (8, 2048), INPUT: (8, 9, 3, 3)}, "an inpainting model .9 input channels"),
    ({FIRST: (8, 1024), INPUT: (8, 5, 3, 3)}, "a depth-guided model"),
    ({FIRST: (8, 1024), INPUT: (8, 7, 3, 3)}, "an upscaler"),
    ({FIRST: (8, 768), INPUT: (8, 8, 3, 3)}, "a picture-editing model"),
    ({FIRST: (8, 1024), f"{UNET}label_emb.0.0.weight": (8, 8)}, "an unknown family"),
    ({LARGE: (8, 1280), "conditioner.embedders.0.model.text_projection": (8, 8)}, "SDXL's refiner"),
    ({LARGE: (8, 1280)}, "an unknown family .text features of width 1280"),
    ({f"{UNET}joint_blocks.0.x_block.attn.qkv.weight": (8, 8)}, "a Stable Diffusion 3 model"),
    ({f"{UNET}double_blocks.0.img_attn.qkv.weight": (8, 8)}, "a Flux model"),
    ({"double_blocks.0.img_attn.qkv.weight": (8, 8)}, "a Flux model"),
    ({LARGE: (8, 2048), "edm_mean": (4,)}, "a Playground model"),
    ({"lora_unet_mid_block_attentions_0_proj_in.alpha": (1,)}, "a LoRA"),
    ({"down_blocks.0.resnets.0.conv1.weight": (8, 8)}, "the denoiser of a diffusers model alone"),
    ({"x": (2,)}, "is no Stable Diffusion checkpoint"), ({FIRST: (8,)}, "is no Stable Diffusion checkpoint"),
])
def test_a_file_of_another_model_is_refused_by_name(tmp_path: Path, shapes: dict[str, tuple[int, ...]],
                                                    words: str) -> None:
    with pytest.raises(StudioError, match=words) as refusal:
        family_of_header(header_of(tmp_path, shapes), "a")
    assert str(refusal.value).startswith("'a' is ") and str(refusal.value).endswith("'starter'.")


@pytest.mark.parametrize(("family", "tensors", "metadata", "expected"), [
    ("sd1", {}, {}, "epsilon"), ("sd2", {}, {}, "epsilon"), ("sdxl", {}, {}, "epsilon"),
    ("sdxl", {"v_pred": torch.zeros(0)}, {}, "v_prediction"),
    ("sd2", {"v_pred": torch.zeros(0)}, {}, "v_prediction"),
    ("sd2", {single_file._TELLTALE: torch.tensor([0.2, -0.2])}, {}, "v_prediction"),
    ("sd2", {single_file._TELLTALE: torch.tensor([0.05, -0.05])}, {}, "epsilon"),
    ("sd1", {single_file._TELLTALE: torch.tensor([0.2, -0.2])}, {}, "epsilon"),
    ("sd2", {single_file._TELLTALE: torch.tensor([0.2, -0.2])}, {"modelspec.prediction_type": "epsilon"}, "epsilon"),
    ("sd2", {}, {"modelspec.architecture": "stable-diffusion-v2-768-v"}, "v_prediction"),
    ("sdxl", {}, {"modelspec.prediction_type": "v"}, "v_prediction"),
])
def test_what_a_file_predicts(tmp_path: Path, family: Any, tensors: dict[str, torch.Tensor],
                              metadata: dict[str, str], expected: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(1), **{k: t.half() for k, t in tensors.items()}}, path, metadata)
    assert single_file.prediction_of(path, read_header(path), family) == expected


@pytest.mark.parametrize(("family", "kind"), [("sd1", "DDIMScheduler"), ("sd2", "DDIMScheduler"),
                                              ("sdxl", "EulerDiscreteScheduler")])
def test_a_file_that_asks_for_no_signal_at_the_end_gets_it(tmp_path: Path, family: Any, kind: str) -> None:
    folder = single_file.configuration(tmp_path / "a", family, velocity=True, zero_snr=True)
    settings = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    assert settings["rescale_betas_zero_snr"] and settings["prediction_type"] == "v_prediction"
    assert settings["timestep_spacing"] == "trailing"
    assert settings["_class_name"] == json.loads((folder / "model_index.json").read_text())["scheduler"][1] == kind


# folders


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl", "starter"])
def test_own_configurations_tell_their_family(family: Any) -> None:
    if family == "starter":
        assert find_family(locate("starter")) == "starter"
    else:
        assert family_of_folder(CONFIGS[family], "a") == family
    assert family_of_folder(single_file.VELOCITY, "a") == "sd2"


@pytest.mark.parametrize(("change", "words"), [
    ({"in_channels": 9}, "an inpainting model"), ({"in_channels": 5}, "a depth-guided model"),
    ({"cross_attention_dim": 1280}, "an unknown family"), ({"down_block_types": None}, "an unknown family"),
    ({"class_embed_type": "projection"}, "an unknown family"), ({"cross_attention_dim": [2048]}, "an unknown family"),
    ({"cross_attention_dim": 768, "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]},
     "could not be loaded .its text encoder gives features of width 1024"),
])
def test_a_folder_of_another_model_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    for part in ("unet", "text_encoder"):
        (tmp_path / part).mkdir()
        settings = json.loads((CONFIGS["sd2"] / part / "config.json").read_text())
        (tmp_path / part / "config.json").write_text(json.dumps(settings | (change if part == "unet" else {})))
    with pytest.raises(StudioError, match=words):
        family_of_folder(tmp_path, "a")


def test_the_family_is_found_without_torch(tmp_path: Path) -> None:
    save_file({FIRST: torch.zeros(8, 1024)}, tmp_path / "a.safetensors")
    code = ("import sys; from pipelines.base_models.families import *; from pipelines.base_models.locate import locate;"
            f"print(find_family(locate({str(tmp_path / 'a.safetensors')!r})),"
            f"family_of_folder(CONFIGS['sdxl'], 'a')); sys.exit('torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "sd2 sdxl\n"), done.stderr[-500:]


def test_a_family_is_known_again_by_what_its_files_say() -> None:
    for family, facts in FAMILIES.items():
        for prediction in ("epsilon", "v_prediction"):
            assert family_hint({"ss_base_model_version": facts.versions[prediction]}) == family
            assert family_hint({"modelspec.architecture": f"{facts.architectures[prediction]}/lora"}) == family
    assert family_hint({}) is None and family_hint({"ss_base_model_version": "flux1"}) is None
