"""Captions by BLIP and Florence-2 with tiny random weights: real loading, real generation, words of no meaning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BartConfig,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipTextConfig,
    BlipVisionConfig,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2VisionConfig,
    PreTrainedTokenizerFast,
)

from adapters.errors import StudioError
from pipelines.captioner import Captioner

SPECIAL = ["<pad>", "<s>", "</s>", "<image>"]
VOCABULARY = {w: n for n, w in enumerate([*SPECIAL, *"what does the image describe ? a red cat on grass".split()])}


def tokenizer(folder: Path) -> None:
    plain = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<pad>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
                            additional_special_tokens=["<image>"]).save_pretrained(folder)


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blip")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = BlipTextConfig(**small, vocab_size=len(VOCABULARY), encoder_hidden_size=16, projection_dim=16,
                          max_position_embeddings=80, bos_token_id=1, eos_token_id=2, sep_token_id=2, pad_token_id=0)
    vision = BlipVisionConfig(**small, image_size=32, patch_size=16, projection_dim=16)
    torch.manual_seed(0)
    BlipForConditionalGeneration(BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict())
                                 ).save_pretrained(folder)
    tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def florence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("florence")
    text = BartConfig(d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16,
                      encoder_attention_heads=2, decoder_attention_heads=2, vocab_size=len(VOCABULARY),
                      pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=2,
                      max_position_embeddings=700)
    vision = Florence2VisionConfig(depths=(1, 1, 1, 1), embed_dim=(8, 8, 8, 16), num_heads=(1, 1, 1, 2),
                                   num_groups=(1, 1, 1, 2), projection_dim=16)
    torch.manual_seed(0)
    Florence2ForConditionalGeneration(Florence2Config(
        text_config=text.to_dict(), vision_config=vision.to_dict(), image_token_id=3)).save_pretrained(folder)
    tokenizer(folder)
    return folder


@pytest.mark.parametrize("which", ["blip", "florence"])
def test_each_picture_gets_one_line_of_known_words(which: str, request: pytest.FixtureRequest) -> None:
    place = request.getfixturevalue(which)
    captioner = Captioner(str(place))
    said = captioner.captions([Image.new("RGB", (50, 30), c) for c in ("red", "blue")])
    assert captioner.name == str(place) and len(said) == 2
    for line in said:
        assert "\n" not in line and set(line.split()) <= set(VOCABULARY) - set(SPECIAL)


def test_the_picture_reaches_florence_as_one_token_a_place(florence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captioner, seen = Captioner(str(florence)), []
    plain = captioner.model.generate
    monkeypatch.setattr(captioner.model, "generate", lambda **given: seen.append(given) or plain(**given))
    captioner.captions([Image.new("RGB", (64, 64))])
    ids = seen[0]["input_ids"][0]
    places = captioner.model.get_image_features(seen[0]["pixel_values"]).pooler_output.shape[1]
    assert (ids == 3).sum() == places and (ids[:places] == 3).all()
    assert captioner.tokens.decode(ids[places:]).endswith("does the image describe ?")


def test_no_weights_here_says_what_to_download() -> None:
    with pytest.raises(StudioError, match="fetch 'Salesforce/blip-image-captioning-base'"):
        Captioner()


def test_another_models_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(StudioError, match="it is bert"):
        Captioner(str(tmp_path))
