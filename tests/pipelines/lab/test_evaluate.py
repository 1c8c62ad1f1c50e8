"""Encoders on small random checkpoints, and an evaluation with an encoder that sees nothing but colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

from adapters.errors import StudioError
from pipelines.base_models.locate import STARTER_PATH
from pipelines.contact_sheet import grid
from pipelines.lab import choice
from pipelines.lab.encoders import Clip, Dino, TextEncoder
from pipelines.lab.evaluate import Pictures, Plan, evaluate, paint
from pipelines.lab.prompts import DREAMBENCH_LIVE, DREAMBENCH_OBJECTS, fill, read_prompts
from pipelines.references import list_folder, open_image
from pipelines.shipped import SAMPLES

RED, GREEN, BLUE = (Image.new("RGB", (40, 40), c) for c in ("#ff0000", "#00ff00", "#0000ff"))
WORDS = {"red": [1.0, 0, 0], "green": [0, 1.0, 0], "blue": [0, 0, 1.0]}


class Colour:
    """A picture is its mean colour, a text the colour that it names."""

    name = "colour"

    def images(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        rows = torch.tensor([p.resize((1, 1)).getpixel((0, 0)) for p in pictures]).float()
        return torch.nn.functional.normalize(rows, dim=-1)

    def texts(self, prompts: Sequence[str]) -> torch.Tensor:
        return torch.tensor([next(v for w, v in WORDS.items() if w in p) for p in prompts])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    tokens = CLIPTokenizer.from_pretrained(STARTER_PATH / "tokenizer")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(
        text_config=CLIPTextConfig(**small, vocab_size=len(tokens), max_position_embeddings=32,
                                   bos_token_id=tokens.bos_token_id, eos_token_id=tokens.eos_token_id,
                                   pad_token_id=tokens.pad_token_id).to_dict(),
        vision_config=CLIPVisionConfig(**small, image_size=32, patch_size=8).to_dict(), projection_dim=16))
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_a_clip_folder_gives_what_transformers_own_model_gives(clip: Path) -> None:
    encoder = Clip(clip, "tiny")
    model, processor = CLIPModel.from_pretrained(clip), CLIPImageProcessorPil.from_pretrained(clip)
    texts = ["a cat", "a red house on the beach"]
    ids = encoder.tokens(texts, padding="max_length", max_length=32, return_tensors="pt").input_ids
    with torch.no_grad():
        whole = model(pixel_values=processor([RED, BLUE], return_tensors="pt")["pixel_values"], input_ids=ids)
    assert torch.allclose(encoder.images([RED, BLUE]), whole.image_embeds, atol=1e-6)
    assert torch.allclose(encoder.texts(texts), whole.text_embeds, atol=1e-6)
    assert isinstance(encoder, TextEncoder)


def test_a_dino_folder_gives_its_class_token(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = ViTModel(ViTConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
                               image_size=32, patch_size=8), add_pooling_layer=False)
    model.save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    encoder = Dino(tmp_path, "tiny")
    pixels = ViTImageProcessor.from_pretrained(tmp_path)([RED], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        token = model.eval()(pixels).last_hidden_state[:, 0]
    assert torch.allclose(encoder.images([RED]), torch.nn.functional.normalize(token, dim=-1), atol=1e-6)
    assert not isinstance(encoder, TextEncoder)


def test_a_folder_that_is_no_encoder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for kind in (Clip, Dino):
        with pytest.raises(StudioError, match="could not be read"):
            kind(tmp_path, "nothing")


def test_an_evaluation_says_likeness_prompt_and_what_it_was_taken_on() -> None:
    pictures = Pictures([RED, RED, GREEN, GREEN], ["red x"] * 2 + ["green x"] * 2, ["red"] * 2 + ["blue"] * 2,
                        [RED, BLUE])
    found = evaluate(pictures, [RED, BLUE], Colour(), look_alikes={"other": [GREEN]}, seeds=(0, 1))
    assert found.identity.mean == pytest.approx(0.25) and found.identity.n == 2  # two prompts, not four pictures
    assert found.prompt and found.prompt.mean == pytest.approx(0.5)
    assert found.retrieval == 0.5 and found.look_alikes == 1
    assert found.diversity == pytest.approx(0.0)
    assert found.prior_collapse == pytest.approx(0.5)
    assert found.copied == 0.5  # red is a reference; green is as far from both as they are apart
    told = found.as_dict()
    assert {"identity", "prompt", "encoder", "images", "interval"} <= told.keys() and told["images"] == 4
    # Red is copied, found and alike in every picture, green never: 0 and 1, or nothing, over two prompts.
    apart = pytest.approx(12.706 * 0.5)
    assert {k: told["interval"][k] for k in ("copied", "retrieval", "diversity")} == {
        "copied": apart, "retrieval": apart, "diversity": pytest.approx(0.0)}
    assert told["interval"]["prior_collapse"] == pytest.approx(0.0)
    assert told["interval"].keys() == {"nearest_reference", *(k for k, v in told.items() if isinstance(v, float))}


def test_an_evaluation_without_references_is_refused() -> None:
    with pytest.raises(StudioError, match="references"):
        evaluate(Pictures([RED], ["a"], ["a"], []), [], Colour())


def test_a_plan_paints_every_prompt_with_every_seed_and_the_class() -> None:
    class Paints:
        def __init__(self) -> None:
            self.asked: list[tuple[str, int]] = []

        def paint(self, base: str, use: object, request: object, *, offline: bool) -> object:
            self.asked.append((request.prompt, request.seed))  # type: ignore[attr-defined]
            return type("P", (), {"images": [RED]})

        def told(self, base: str, painted: object, *, offline: bool) -> list[dict[str, object]]:
            return [dict(zip(("prompt", "seed"), self.asked[-1], strict=True))]

        def made_with(self, use: object) -> list[object]:
            return []

    painter, counted = Paints(), []
    found = paint(painter, "starter", [], "<toy>", "bear", Plan(("{} on the beach", "a red {noun}"), (0, 1), 3),  # type: ignore[arg-type]
                  progress=lambda n, of: counted.append((n, of)))
    assert painter.asked[:4] == [("a <toy> on the beach", 0), ("a <toy> on the beach", 1), ("a red <toy>", 0),
                                 ("a red <toy>", 1)]
    assert [t for t, _ in painter.asked[4:]] == ["a bear on the beach", "a red bear", "a bear on the beach"]
    assert [(s["prompt"], s["seed"]) for s in found.settings] == painter.asked
    assert found.said[0] == "a bear on the beach" and len(found.of_class) == 3 and counted[-1] == (7, 7)


def test_prompts_come_from_a_file_and_must_name_the_subject(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("# mine\na photo of {}\n\na red {noun}\n")
    assert read_prompts(file) == ["a photo of {}", "a red {noun}"]
    file.write_text("a photo of a dog\n")
    with pytest.raises(StudioError, match="subject"):
        read_prompts(file)
    file.write_text("\n")
    with pytest.raises(StudioError, match="no prompts"):
        read_prompts(file)
    with pytest.raises(StudioError, match="could not be read"):
        read_prompts(tmp_path / "none.txt")


def test_dreambenchs_prompts_are_25_each() -> None:
    assert len(DREAMBENCH_OBJECTS) == len(DREAMBENCH_LIVE) == 25
    assert fill("a red {noun}", "sks dog") == "a red sks dog" and fill("{} in the snow", "owl") == "an owl in the snow"


def test_a_named_encoder_is_taken_as_it_is(clip: Path) -> None:
    (found,) = choice.choose_encoders(str(clip), [RED], offline=True)
    assert found.name == str(clip)


def test_the_starters_own_encoder_is_refused_for_pictures_unlike_its_world() -> None:
    chance = torch.Generator().manual_seed(0)
    noise = [Image.fromarray(torch.randint(256, (64, 64, 3), generator=chance, dtype=torch.uint8).numpy())] * 3
    with pytest.raises(StudioError, match="only 0% of these pictures"):
        choice.choose_encoders("", noise)
    (forced,) = choice.choose_encoders("", noise, force=True)
    (own,) = choice.choose_encoders("", [open_image(p) for p in list_folder(SAMPLES / "unicorn")])
    assert forced.name == own.name and "semblance" in own.name


def test_the_samples_look_alikes_are_the_others(tmp_path: Path) -> None:
    koala = SAMPLES / "koala"
    assert "koala" not in choice.sample_look_alikes("starter", koala)
    assert {"unicorn", "poodle"} <= choice.sample_look_alikes("starter", koala).keys()
    copied = tmp_path / "mine"
    copied.mkdir()
    (copied / "a.png").write_bytes((koala / "0.png").read_bytes())
    assert "koala" not in choice.sample_look_alikes("starter", copied)
    assert choice.sample_look_alikes("other", koala) == {}


def test_a_grid_shows_every_picture(tmp_path: Path) -> None:
    grid([RED, GREEN, BLUE], ["a", "b", "c"], tmp_path / "grid.png", across=2, side=20)
    sheet = Image.open(tmp_path / "grid.png")
    assert {(255, 0, 0), (0, 255, 0), (0, 0, 255)} <= {c for _, c in sheet.getcolors(10_000)}
