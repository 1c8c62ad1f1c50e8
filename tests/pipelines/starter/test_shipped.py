"""The starter as it ships: small, stock, as good as it says, and loadable by people who have none of our code."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
from PIL import Image
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from pipelines.base_models.locate import STARTER_PATH
from pipelines.lab.asked import PLACES
from pipelines.lab.series import SETS
from pipelines.shipped import JUDGES, SAMPLES, STARTER
from pipelines.starter.autoencoder import reconstruct
from pipelines.starter.evaluation import unpack
from pipelines.starter.glyphs import COLOURS, Catalogue
from pipelines.starter.judge import labels, load_scene_judge
from pipelines.starter.likeness import Gallery, scenes_of
from pipelines.starter.pair import FOLDER, Pair
from pipelines.starter.scenes import SCENES
from pipelines.starter.styles import HELD_OUT_STYLES, STYLES
from pipelines.starter.tokenizer import caption_words

_LOAD = """
import json, sys
from diffusers import StableDiffusionPipeline
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], local_files_only=True)
unet = pipe.unet
print(json.dumps({
    "classes": {k: type(getattr(pipe, k)).__name__ for k in
                ("unet", "vae", "text_encoder", "tokenizer", "scheduler")},
    "millions": sum(p.numel() for p in unet.parameters()) / 1e6,
    "grid": [unet.config.sample_size, list(unet.config.down_block_types)],
}))
"""


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process that cannot import this repository finds in the pipeline folder."""
    done = subprocess.run([sys.executable, "-c", _LOAD, str(STARTER_PATH)], cwd=tmp_path_factory.mktemp("elsewhere"),
                          text=True, capture_output=True, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def packed() -> tuple[list[Image.Image], list[str]]:
    return unpack()


def _bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def _accuracy(judge: str) -> dict[str, float]:
    found: dict[str, float] = labels(JUDGES / f"{judge}.safetensors")["accuracy"]  # type: ignore[assignment]
    return found


def test_a_stock_pipeline_loads_it_with_none_of_our_code(stock: dict[str, Any]) -> None:
    assert stock["classes"] == {
        "unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "text_encoder": "CLIPTextModel",
        "tokenizer": "CLIPTokenizer", "scheduler": "DDIMScheduler"}
    assert 11 <= stock["millions"] <= 14


def test_cross_attention_begins_at_16_by_16(stock: dict[str, Any]) -> None:
    side, blocks = stock["grid"]
    assert side == 32 and blocks[:2] == ["DownBlock2D", "CrossAttnDownBlock2D"]


def test_it_predicts_v_down_to_zero_terminal_snr_with_trailing_steps() -> None:
    scheduler = DDIMScheduler.from_pretrained(STARTER_PATH / "scheduler")
    assert scheduler.config.prediction_type == "v_prediction" and scheduler.config.rescale_betas_zero_snr
    assert scheduler.config.timestep_spacing == "trailing"
    assert abs(float(scheduler.alphas_cumprod[-1])) < 1e-6


def test_the_pipeline_folder_has_at_most_36_megabytes() -> None:
    assert _bytes(STARTER_PATH) <= 36e6


def test_the_judges_have_at_most_4_megabytes() -> None:
    assert _bytes(JUDGES) <= 4e6


def test_licence_and_card_stand_beside_the_weights() -> None:
    for name in ("README.md", "LICENSE-NOTO.md"):
        assert (STARTER / name).stat().st_size > 100


def test_the_word_list_has_every_caption_word_and_none_that_is_held_out() -> None:
    words = json.loads((STARTER / "words.json").read_text("utf-8"))
    assert words == caption_words()
    assert not {*Catalogue().held_out_nouns, *HELD_OUT_STYLES} & set(words)


def test_no_held_out_glyph_is_among_the_trainable_ones() -> None:
    catalogue = Catalogue()
    held_out, trained = ({i.glyph.rstrip("\ufe0f") for i in part}  # the same glyph with or without the selector
                         for part in (catalogue.held_out(), catalogue.trainable()))
    assert held_out and trained and not trained & held_out
    assert not set(catalogue.nouns) & set(catalogue.held_out_nouns)


def test_a_painted_picture_is_finite_and_of_256_pixels() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(STARTER_PATH, local_files_only=True).to(torch.float32)
    picture = pipeline("a photo of a cat on the beach", num_inference_steps=4, guidance_scale=4.0, output_type="np",
                       generator=torch.Generator().manual_seed(0)).images[0]
    assert picture.shape == (256, 256, 3) and np.isfinite(picture).all()
    assert picture.std() > 0.05  # not one flat colour


def test_the_packed_scenes_are_100_of_256_pixels_each_with_its_own_caption(
        packed: tuple[list[Image.Image], list[str]]) -> None:
    pictures, captions = packed
    assert len(pictures) == len(captions) == len(set(captions)) == 100
    assert {p.size for p in pictures} == {(256, 256)}


@pytest.mark.slow  # 20 s on one core
def test_the_autoencoder_brings_packed_scenes_back_at_28_db(packed: tuple[list[Image.Image], list[str]]) -> None:
    vae = AutoencoderKL.from_pretrained(STARTER_PATH / "vae").float()
    assert reconstruct(vae, packed[0]) >= 28


def test_the_pairs_folder_loads_as_a_stock_clip_model_with_the_pipelines_own_text_tower() -> None:
    clip, told = CLIPModel.from_pretrained(STARTER_PATH / FOLDER, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"] and not told["mismatched_keys"]
    text = CLIPTokenizer.from_pretrained(STARTER_PATH / "tokenizer")("a red cat in the snow", return_tensors="pt")
    own = CLIPTextModel.from_pretrained(STARTER_PATH / "text_encoder").float()
    with torch.no_grad():
        theirs = clip.float().text_model(text.input_ids).pooler_output
        assert torch.equal(theirs, own(text.input_ids).pooler_output)


def test_the_pair_finds_the_caption_of_most_packed_scenes_among_100(
        packed: tuple[list[Image.Image], list[str]]) -> None:
    found = Pair(STARTER_PATH).similarity(*packed).argmax(1)
    assert (found == torch.arange(len(found))).float().mean() >= 0.8


def test_the_scene_judge_knows_the_world_and_nothing_else() -> None:
    judge = load_scene_judge()
    assert (judge.nouns, judge.colours, judge.scenes, judge.styles) == (
        Catalogue().nouns, list(COLOURS), list(SCENES), list(STYLES))
    assert set(PLACES) <= set(judge.scenes)


def test_the_scene_judges_header_says_that_it_is_right_on_drawn_scenes() -> None:
    accuracy = _accuracy("scene_judge")
    assert accuracy["scene"] >= 0.98 and accuracy["colour"] >= 0.9
    assert all(accuracy[k] >= 0.95 for k in ("class", "style", "sides", "stacks")), accuracy


def test_the_embedders_header_says_how_well_it_tells_held_out_individuals_apart() -> None:
    accuracy = _accuracy("embedder")
    assert accuracy["individuals"] == len(Catalogue().individuals)
    assert 0 < accuracy["recall@1"] <= accuracy["recall@5"] <= 1 and accuracy["recall@5"] >= 0.8


def test_the_scene_judge_reads_the_scenes_of_the_sample_pictures() -> None:
    pictures = [Image.open(p) for p in sorted((SAMPLES / "koala").glob("*.png"))]
    assert scenes_of(load_scene_judge(), pictures) == ["white", "meadow", "room", "snow", "pink"]


def test_the_gallery_holds_every_individual_of_the_world() -> None:
    assert sorted(Gallery().glyphs) == sorted(i.glyph for i in Catalogue().individuals)


@pytest.mark.parametrize("name", SETS)
def test_the_gallery_tells_held_out_references_apart(name: str) -> None:
    glyph = json.loads((SAMPLES / name / "sample.json").read_text("utf-8"))["glyph"]
    pictures = [Image.open(p) for p in sorted((SAMPLES / name).glob("*.png"))]
    assert Gallery().retrieve(pictures, glyph).recall(5) >= 0.8
