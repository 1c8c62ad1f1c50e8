"""The starter as it ships: small, stock, and loadable by people who have none of our code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from pipelines.base_models.locate import STARTER_PATH
from pipelines.lab.asked import PLACES
from pipelines.shipped import SAMPLES
from pipelines.starter.glyphs import Catalogue
from pipelines.starter.judge import ASSETS, labels, load_scene_judge
from pipelines.starter.likeness import Gallery, scenes_of
from pipelines.starter.report import EVALUATION, prompts, unpack

SETS = ("koala", "firetruck", "pixelalien")
_LOAD = """
import json, sys
from diffusers import StableDiffusionPipeline
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], local_files_only=True)
unet = pipe.unet
print(json.dumps({
    "classes": {k: type(getattr(pipe, k)).__name__ for k in
                ("unet", "vae", "text_encoder", "tokenizer", "scheduler")},
    "millions": sum(p.numel() for p in unet.parameters()) / 1e6,
    "prediction": pipe.scheduler.config.prediction_type,
    "zero_snr": pipe.scheduler.config.rescale_betas_zero_snr,
    "spacing": pipe.scheduler.config.timestep_spacing,
    "grid": [unet.config.sample_size, list(unet.config.down_block_types)],
}))
"""


def _bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def test_a_stock_pipeline_loads_it_with_none_of_our_code(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _LOAD, str(STARTER_PATH)], cwd=tmp_path, text=True,
                          capture_output=True, check=True, timeout=120)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["classes"] == {
        "unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "text_encoder": "CLIPTextModel",
        "tokenizer": "CLIPTokenizer", "scheduler": "DDIMScheduler"}
    assert 11 <= found["millions"] <= 14
    assert (found["prediction"], found["zero_snr"], found["spacing"]) == ("v_prediction", True, "trailing")
    # 32x32 latents, one halving before the first cross-attention: it runs at 16x16.
    assert found["grid"][0] == 32 and found["grid"][1][:2] == ["DownBlock2D", "CrossAttnDownBlock2D"]


def test_sizes_stay_within_what_is_promised() -> None:
    assert _bytes(STARTER_PATH) <= 36e6
    assert _bytes(ASSETS / "judges") <= 4e6


def test_licence_card_and_words_stand_beside_the_weights() -> None:
    for name in ("README.md", "LICENSE-NOTO.md", "words.json"):
        assert (ASSETS / name).stat().st_size > 100
    words = set(json.loads((ASSETS / "words.json").read_text("utf-8")))
    assert set(Catalogue().nouns[0].split()) <= words


def test_the_judge_sees_most_scenes_that_nobody_was_trained_on() -> None:
    known = labels(ASSETS / "judges" / "scene_judge.safetensors")
    accuracy = known["accuracy"]
    assert accuracy["class"] >= 0.95 and accuracy["scene"] >= 0.98  # type: ignore[index]
    assert len(load_scene_judge().nouns) >= 40
    assert len(unpack(EVALUATION, 128)) == 64


def test_the_gallery_has_look_alikes_and_tells_held_out_references_apart() -> None:
    gallery, catalogue = Gallery(), Catalogue()
    assert len(gallery) >= 50
    assert {i.glyph for i in catalogue.held_out()} <= set(gallery.glyphs)
    from PIL import Image

    for name in SETS:
        glyph = json.loads((SAMPLES / name / "sample.json").read_text("utf-8"))["glyph"]
        pictures = [Image.open(p) for p in sorted((SAMPLES / name).glob("*.png"))]
        assert gallery.retrieve(pictures, glyph).recall(5) >= 0.8, name


def test_the_judge_reads_the_scenes_of_the_sample_pictures() -> None:
    from PIL import Image

    judge = load_scene_judge()
    pictures = [Image.open(p) for p in sorted((SAMPLES / "koala").glob("*.png"))]
    assert scenes_of(judge, pictures) == ["white", "meadow", "room", "snow", "pink"]
    assert set(PLACES) <= set(judge.scenes)


def test_the_report_asks_for_every_class() -> None:
    judge = load_scene_judge()
    assert {noun for _, noun, _ in prompts(judge.nouns, 300)} == set(judge.nouns)


@pytest.mark.parametrize("name", ["scene_judge", "embedder"])
def test_judges_say_how_good_they_are(name: str) -> None:
    with safe_open(ASSETS / "judges" / f"{name}.safetensors", "pt") as file:
        assert json.loads(file.metadata()["labels"])["accuracy"]
