"""The denoiser goes on from an older pipeline: words by their spelling, weights by their names."""

from pathlib import Path

import pytest
import torch

from adapters.errors import StudioError
from pipelines.base_models.locate import STARTER_PATH
from pipelines.starter import diffusion, tokenizer
from pipelines.starter.config import StarterConfig
from pipelines.starter.warm_start import TOKEN_ROWS, map_rows, warm_start


def test_rows_are_mapped_by_token_and_new_tokens_keep_theirs() -> None:
    old = torch.tensor([[1.0], [2.0], [3.0]])
    new = torch.tensor([[-1.0], [-2.0], [-3.0], [-4.0]])
    mapped = map_rows({"cat": 0, "dog": 1, "gone": 2}, {"new": 0, "dog": 1, "old": 2, "cat": 3}, old, new)
    assert mapped.flatten().tolist() == [-1, 2, -3, 1]
    assert new.flatten().tolist() == [-1, -2, -3, -4]


def test_a_warm_start_takes_the_unet_and_every_known_word(tmp_path: Path, config: StarterConfig) -> None:
    tokens = tokenizer.build(config.diffusion.text_length)
    torch.manual_seed(0)
    first, second = (diffusion.build_model(config, tokens) for _ in range(2))
    folder = tmp_path / "old"
    first["unet"].save_pretrained(folder / "unet")
    first["text_encoder"].save_pretrained(folder / "text_encoder")
    shuffled = {t: len(tokens) - 1 - n for t, n in tokens.get_vocab().items()}  # other ids, the same words
    shuffled["unheard</w>"] = shuffled.pop("cat</w>")
    _save_vocabulary(folder / "tokenizer", shuffled)
    fresh = second["text_encoder"].state_dict()[TOKEN_ROWS].clone()
    warm_start(folder, second["unet"], second["text_encoder"], tokens)
    assert all(torch.equal(a, b) for a, b in zip(first["unet"].state_dict().values(),
                                                 second["unet"].state_dict().values(), strict=True))
    old, new = (m["text_encoder"].state_dict()[TOKEN_ROWS] for m in (first, second))
    ids = tokens.get_vocab()
    assert torch.equal(new[ids["dog</w>"]], old[shuffled["dog</w>"]])
    assert torch.equal(new[ids["cat</w>"]], fresh[ids["cat</w>"]])


def _save_vocabulary(folder: Path, ids: dict[str, int]) -> None:
    from transformers import CLIPTokenizer

    CLIPTokenizer(vocab=ids, merges=[], unk_token="<|endoftext|>", bos_token="<|startoftext|>",
                  eos_token="<|endoftext|>", pad_token="<|endoftext|>").save_pretrained(folder)


def test_a_warm_start_from_nowhere_or_from_other_shapes_is_one_sentence(
        tmp_path: Path, config: StarterConfig) -> None:
    tokens = tokenizer.build(config.diffusion.text_length)
    model = diffusion.build_model(config, tokens)
    with pytest.raises(StudioError, match="could not be read"):
        warm_start(tmp_path / "nowhere", model["unet"], model["text_encoder"], tokens)
    with pytest.raises(StudioError, match="shapes"):
        warm_start(STARTER_PATH, model["unet"], model["text_encoder"], tokens)
