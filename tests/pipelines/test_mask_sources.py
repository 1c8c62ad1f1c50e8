"""Other sources of masks, with tiny random weights where they need some."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from transformers import (
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    SamConfig,
    SamModel,
)
from transformers.models.clipseg import CLIPSegTextConfig, CLIPSegVisionConfig
from transformers.models.sam import SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig

from adapters.errors import StudioError
from adapters.host import Host
from pipelines.auto_masks import disjoint, fill_in
from pipelines.lesson import Lesson
from pipelines.mask_sources import SOURCES, attention, open_source
from pipelines.mask_sources.sam import prompts
from pipelines.methods import config_class, recipe_builder
from pipelines.methods.break_a_scene.config import Config
from tests.pipelines.tools import LEFT, RIGHT, begin, image, lesson, mask, run


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny base attends on 4 x 4."""
    monkeypatch.setattr(attention, "attention_resolution", lambda host: 4)


@pytest.fixture(scope="module")
def clipseg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clipseg")
    text = CLIPSegTextConfig(vocab_size=49408, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                             num_attention_heads=2, bos_token_id=49406, eos_token_id=49407, pad_token_id=49407)
    vision = CLIPSegVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
                                 image_size=64, patch_size=32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPSegForImageSegmentation(CLIPSegConfig(
            text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16, extract_layers=[0, 1],
            reduce_dim=8, decoder_num_attention_heads=2, decoder_intermediate_size=16)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam")
    vision = SamVisionConfig(hidden_size=16, output_channels=16, num_hidden_layers=1, num_attention_heads=2,
                             image_size=64, patch_size=16, mlp_dim=16, window_size=2, num_pos_feats=8,
                             global_attn_indexes=[0])
    prompt = SamPromptEncoderConfig(hidden_size=16, image_size=64, patch_size=16, mask_input_channels=4)
    decoder = SamMaskDecoderConfig(hidden_size=16, mlp_dim=16, num_hidden_layers=1, num_attention_heads=2,
                                   iou_head_hidden_dim=16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        SamModel(SamConfig(vision_config=vision.to_dict(), prompt_encoder_config=prompt.to_dict(),
                           mask_decoder_config=decoder.to_dict())).save_pretrained(folder)
    return folder


def arrays(masks: Any) -> list[np.ndarray]:
    return [np.array(m) for m in masks]


# the registry


def test_the_setting_offers_every_source(host: Host) -> None:
    field = config_class("lora").model_fields["mask_source"]
    assert set(field.annotation.__args__) == set(SOURCES)  # type: ignore[union-attr]
    with pytest.raises(StudioError, match="no source of masks 'magic'; choose one of: attention, grabcut"):
        open_source("magic", host)


def test_the_default_is_the_bases_own_attention(host: Host) -> None:
    taught = lesson("mycat")
    made = fill_in(host, taught, "auto").pictures[0].masks
    assert np.array_equal(arrays(made), arrays(attention.attention_masks(host, [image()], "cat")))


# CLIPSeg


def test_clipsegs_masks_are_soft_of_the_pictures_sizes_and_divided_by_their_maximum(host: Host, clipseg: Path) -> None:
    source = open_source("clipseg", host, str(clipseg))
    found = source.masks([image(), image(1, side=60).crop((0, 0, 60, 40))], "cat")
    assert [(m.size, m.mode) for m in found] == [((32, 32), "L"), ((60, 40), "L")]
    for values in arrays(found):
        assert values.max() == 255 and len(np.unique(values)) > 5


def test_clipseg_is_asked_for_the_noun_and_looks_at_the_picture(host: Host, clipseg: Path) -> None:
    source = open_source("clipseg", host, str(clipseg))
    logits, seen = source.model.forward, list[dict[str, torch.Tensor]]()  # type: ignore[attr-defined]
    source.model.forward = lambda **a: seen.append(a) or logits(**a)  # type: ignore[attr-defined]
    source.masks([image(), image(1)], "red owl")
    assert source.tokenizer.decode(seen[0]["input_ids"][0][1:-1]).strip() == "a photo of a red owl"  # type: ignore[attr-defined]
    assert seen[0]["pixel_values"].shape == (1, 3, 352, 352)
    assert not torch.equal(seen[0]["pixel_values"], seen[1]["pixel_values"])
    white = Image.new("RGB", (40, 40), "white")
    source.masks([white], "owl")
    expected = [(1 - m) / d for m, d in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]  # ImageNet's
    assert seen[2]["pixel_values"].amax((0, 2, 3)).tolist() == pytest.approx(expected, abs=1e-5)


def test_clipsegs_mask_is_the_sigmoid_of_what_it_says_in_the_pictures_place(host: Host, clipseg: Path) -> None:
    source = open_source("clipseg", host, str(clipseg))
    said = torch.full((352, 352), -8.0)
    said[:176, 176:] = 2.0  # the right upper quarter
    source.model.forward = lambda **a: type("Said", (), {"logits": said})  # type: ignore[attr-defined]
    values = np.array(source.masks([image(side=64).crop((0, 0, 64, 32))], "cat")[0])
    assert values.shape == (32, 64) and (values[:15, 34:] == 255).all() and values[17:].max() < 2
    assert values[:, :30].max() < 2


# SAM


def test_sams_prompts_are_the_strongest_place_and_the_box_of_what_is_connected_to_it() -> None:
    where = np.zeros((64, 128), np.uint8)
    where[10:30, 20:60] = 160
    where[20:22, 40:44] = 255
    where[40:60, 90:120] = 200  # stronger on average, but not connected to the maximum
    box, (x, y) = prompts(Image.fromarray(where))
    assert box == pytest.approx((20, 10, 60, 30), abs=1.5)
    assert 39 <= x <= 45 and 19 <= y <= 23


def test_sams_masks_are_hard_and_of_the_pictures_sizes(host: Host, sam: Path) -> None:
    pictures = [image(), image(1, side=60).crop((0, 0, 60, 40))]
    found = open_source("sam", host, str(sam)).masks(pictures, "cat")
    assert [(m.size, m.mode) for m in found] == [((32, 32), "L"), ((60, 40), "L")]
    assert all(set(np.unique(v)) <= {0, 255} for v in arrays(found))


def test_sam_gets_the_prompts_in_its_own_pixels_and_its_padding_is_cut_off(
        host: Host, sam: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, seen = open_source("sam", host, str(sam)), dict[str, Any]()
    side, low = 64, torch.full((1, 1, 1, 16, 16), -4.0)
    low[..., :8, 8:] = 4.0  # right half of a picture twice as wide as high; the lower half is padding

    def answer(**given: Any) -> Any:
        seen.update(given)
        return type("Said", (), {"pred_masks": low})

    source.model.forward = answer  # type: ignore[attr-defined]
    likely = mask((8, 4, 16, 12)).crop((0, 0, 32, 16))
    monkeypatch.setattr(attention.Source, "masks", lambda self, images, noun: [likely])
    values = np.array(source.masks([image().crop((0, 0, 32, 16))], "cat")[0])
    assert seen["pixel_values"].shape == (1, 3, side, side) and not seen["pixel_values"][:, :, 32:].any()
    assert seen["input_boxes"][0, 0].tolist() == pytest.approx([16, 8, 32, 24], abs=2)
    x, y = seen["input_points"][0, 0, 0].tolist()
    assert 16 <= x <= 32 and 8 <= y <= 24
    assert values.shape == (16, 32) and (values[:, 18:] == 255).all() and not values[:, :14].any()


# weights that are not there


@pytest.mark.parametrize(("source", "model"), [("clipseg", "CIDAS/clipseg-rd64-refined"),
                                               ("sam", "facebook/sam-vit-base")])
def test_weights_that_are_not_here_are_named_with_what_to_download(host: Host, source: str, model: str,
                                                                   tmp_path: Path) -> None:
    for named in ("", str(tmp_path / "none"), str(tmp_path), "nobody/nothing"):
        with pytest.raises(StudioError, match=f"are not at '{named or model}'; fetch '{model}'"):
            open_source(source, host, named)


def test_weights_of_another_model_or_cut_off_ones_are_refused(host: Host, clipseg: Path, sam: Path,
                                                              tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="SamModel"):
        open_source("sam", host, str(clipseg))
    with pytest.raises(StudioError, match="CLIPSegForImageSegmentation"):
        open_source("clipseg", host, str(sam))
    for file in sam.iterdir():
        data = file.read_bytes()
        (tmp_path / file.name).write_bytes(data[:len(data) // 2] if file.suffix == ".safetensors" else data)
    with pytest.raises(StudioError, match="are not at"):
        open_source("sam", host, str(tmp_path))


def test_pickled_weights_are_not_opened(host: Host, sam: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((sam / "config.json").read_bytes())
    torch.save(SamModel.from_pretrained(sam).state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(StudioError, match="are not at"):
        open_source("sam", host, str(tmp_path))


# GrabCut


def test_grabcut_without_opencv_says_what_to_install(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "cv2":
            raise ImportError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StudioError, match='pip install "opencv-python-headless<5"'):
        open_source("grabcut", host)


def test_grabcut_draws_a_rough_likelihood_to_the_things_edge(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2")
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 40, (96, 96, 3)) + np.array([20, 120, 30])  # grass
    true = np.zeros((96, 96), bool)
    true[30:70, 40:80] = True
    pixels[true] = chance.integers(0, 40, (true.sum(), 3)) + np.array([200, 40, 40])  # a red thing
    blurred = mask((44, 36, 70, 66), 96).filter(ImageFilter.GaussianBlur(12))  # too small
    rough = blurred.point(lambda v: v * 255 // max(blurred.tobytes()))
    source = open_source("grabcut", host)
    monkeypatch.setattr(attention.Source, "masks", lambda self, images, noun: [rough])
    found = np.array(source.masks([Image.fromarray(pixels.astype(np.uint8))], "thing")[0])
    assert set(np.unique(found)) == {0, 255}
    start, end = (((m > 127) & true).sum() / ((m > 127) | true).sum() for m in (np.array(rough), found))
    assert start < 0.65 and end > 0.95


def test_grabcut_finds_nothing_where_nothing_is_likely(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2")
    monkeypatch.setattr(attention.Source, "masks", lambda self, images, noun: [Image.new("L", i.size) for i in images])
    with pytest.raises(StudioError, match="No cat was found in picture 1"):
        fill_in(host, lesson("mycat"), "auto", "grabcut")


def test_large_pictures_are_cut_small_and_the_mask_has_their_size(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2, seen = pytest.importorskip("cv2"), list[tuple[int, ...]]()
    plain = cv2.grabCut
    monkeypatch.setattr(cv2, "grabCut", lambda pixels, *rest: seen.append(pixels.shape) or plain(pixels, *rest))
    found = open_source("grabcut", host).masks([image().resize((1200, 900))], "cat")[0]
    assert seen == [(384, 512, 3)] and found.size == (1200, 900)


# several concepts


def test_a_pixel_is_in_one_mask_alone_and_of_equal_ones_in_the_smaller() -> None:
    soft = Image.fromarray(np.full((32, 32), 100, np.uint8))
    strong = Image.composite(Image.new("L", (32, 32), 200), soft, LEFT).point(lambda v: v)
    whole, left = (arrays(disjoint(m)) for m in ([soft, strong], [Image.new("L", (32, 32), 255), LEFT]))
    assert np.array_equal(whole[1], np.where(np.array(LEFT) > 0, 200, np.where(whole[1] > 0, 100, 0)))
    assert not ((whole[0] > 0) & (whole[1] > 0)).any() and ((whole[0] > 0) | (whole[1] > 0)).all()
    assert np.array_equal(left[1], np.array(LEFT)) and np.array_equal(left[0], np.array(RIGHT))
    assert disjoint([soft]) == (soft,)


def two(masks: tuple[Image.Image, ...] = ()) -> Lesson:
    made = lesson("a", "b")
    return replace(made, pictures=(replace(made.pictures[0], masks=masks),))


@pytest.mark.parametrize("source", ["attention", "clipseg"])
def test_break_a_scene_finds_a_mask_for_each_concept_by_its_noun(host: Host, clipseg: Path, source: str) -> None:
    config = Config(steps=2, batch=1, learning_rate=1e-3, attention_resolution=4, rank=2, masks="auto",
                    mask_source=source, mask_model=str(clipseg), prior_weight=0)
    expected = fill_in(host, two(), "auto", source, str(clipseg)).pictures[0].masks
    assert len(expected) == 2 and not np.logical_and(*arrays(expected)).any()
    made = begin(host, config, two())
    masks = made.samples.views.masks
    assert masks is not None and masks.shape[1] == 2 and not (masks[:, 0] * masks[:, 1]).any() and masks.any()
    run(made)


def test_given_masks_stay_where_others_are_found(host: Host) -> None:
    both = replace(two(), pictures=(*two((LEFT, RIGHT)).pictures, *two().pictures))
    first, second = fill_in(host, both, "auto").pictures
    assert first.masks == (LEFT, RIGHT) and len(second.masks) == 2


def test_concepts_of_one_noun_cannot_be_told_apart(host: Host) -> None:
    same = replace(two(), concepts=tuple(c.model_copy(update={"noun": "dog"}) for c in two().concepts))
    with pytest.raises(StudioError, match="by their nouns, which are dog, dog; give each another noun"):
        fill_in(host, same, "auto")


def test_a_thing_that_is_not_found_is_named(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention.Source, "masks", lambda self, images, noun: [
        Image.new("L", i.size, 0 if noun == "dog" else 255) for i in images])
    with pytest.raises(StudioError, match="No dog was found in picture 1"):
        fill_in(host, two(), "auto")


def test_break_a_scene_without_masks_says_that_they_can_be_found(host: Host) -> None:
    with pytest.raises(StudioError, match=r"let masks be found \(masks = auto\)"):
        recipe_builder("break-a-scene")(host, Config(steps=2, learning_rate=1e-3), two())
