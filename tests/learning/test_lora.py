"""A LoRA learns a held-out individual by the command line, and goes to other programs. Real training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from adapters.record import read_record
from adapters.studio_file import load
from pipelines.base_models.load import load_base
from pipelines.base_models.locate import STARTER_PATH
from pipelines.generator import Chosen, Generator
from pipelines.lab.trials import Trial
from pipelines.shipped import SAMPLES
from tests.learning.tools import ARTIFACTS, AloneLab, app, assert_nearer, base_alone, recall, scene_kept

PROMPT, SEED = "a photo of a {} on the beach", 11

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the koala trained at default settings."""
    home = tmp_path_factory.mktemp("home")
    answer = app("train", "--base", "starter", "--method", "lora", "--name", "koala", "--class-noun",
                 "bear", "--images", str(SAMPLES / "koala"), home=home)
    assert answer["name"] == "koala" and Path(str(answer["adapter"])).is_file()
    assert answer["trigger"] and " " not in str(answer["trigger"])
    return home


def test_a_held_out_individual_is_learned_and_the_scene_kept(home: Path) -> None:
    sheet = ARTIFACTS / "koala.png"
    lab = AloneLab()
    learned = lab.measure(Trial(("koala",), "lora"), [home / "adapters" / "koala.safetensors"], sheet)
    base = base_alone("koala")
    assert len(lab.gallery) >= 50
    assert recall(learned) >= 0.5
    assert recall(learned) - recall(base) >= 0.3
    assert_nearer(learned, base)
    assert scene_kept(learned) >= 0.9
    assert sheet.stat().st_size > 10_000


def _studio_pixels(adapter: Path, strength: float = 1.0) -> np.ndarray:
    """The studio's picture as floats in 0-1, fp32."""
    host = load_base("starter")
    generator = Generator(host)
    stored, record = load(adapter)
    with generator.using([Chosen(stored, record, strength)]):
        result = generator.pipeline(PROMPT.format(record.phrase or "zok bear"), num_inference_steps=20,
                                    guidance_scale=4.0, output_type="np",
                                    generator=torch.Generator("cpu").manual_seed(SEED))
    return np.asarray(result.images[0])


_STOCK = """
import sys, numpy as np, torch
from diffusers import StableDiffusionPipeline
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], local_files_only=True).to(torch.float32)
pipe.load_lora_weights(sys.argv[2], weight_name=sys.argv[3], local_files_only=True)
image = pipe(sys.argv[4], num_inference_steps=20, guidance_scale=4.0, output_type="np",
             generator=torch.Generator("cpu").manual_seed(int(sys.argv[5]))).images[0]
np.save(sys.argv[6], image)
"""


def test_the_diffusers_export_gives_the_same_picture_in_a_stock_pipeline(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "koala-diffusers.safetensors"
    app("export", "koala", "--format", "diffusers", "--out", str(out), home=home)
    adapter = home / "adapters" / "koala.safetensors"
    prompt = PROMPT.format(read_record(adapter).phrase)
    subprocess.run([sys.executable, "-c", _STOCK, str(STARTER_PATH), str(tmp_path), out.name, prompt,
                    str(SEED), str(tmp_path / "stock.npy")], check=True, capture_output=True, cwd=tmp_path)
    studio = _studio_pixels(adapter)
    assert np.abs(studio - np.load(tmp_path / "stock.npy")).max() <= 1e-3
    assert np.abs(studio - _studio_pixels(adapter, 0.0)).max() > 0.1  # the adapter does something


def test_the_kohya_export_comes_back_as_the_same_picture(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "koala-kohya.safetensors"
    app("export", "koala", "--format", "kohya", "--out", str(out), home=home)
    answer = app("import", str(out), "--name", "koala-again", home=home)
    first = _studio_pixels(home / "adapters" / "koala.safetensors")
    assert np.abs(first - _studio_pixels(Path(str(answer["path"])))).max() <= 1e-3


def test_the_command_line_paints_what_it_says(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    answer = app("generate", "--base", "starter", "--adapter", "koala:0.8", "--prompt",
                 "a zok bear in the snow", "--seed", "3", "--steps", "4", "--out", str(out), home=home)
    assert {k: answer[k] for k in ("files", "seed", "steps", "width", "height", "sampler")} == {
        "files": [str(out)], "seed": 3, "steps": 4, "width": 256, "height": 256, "sampler": "DDIM"}
    assert out.is_file()
