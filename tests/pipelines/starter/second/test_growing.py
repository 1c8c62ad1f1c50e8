"""The second edition grows from the first: words by spelling, weights by level, latents by matching."""

from pathlib import Path

import pytest
import torch

from adapters.errors import StudioError
from pipelines.base_models.locate import STARTER_PATH
from pipelines.starter.second import autoencoder, diffusion, pair, tokenizer
from pipelines.starter.second.config import CONFIG_PATH, StarterConfig
from pipelines.starter.second.warm_start import TOKEN_ROWS, map_rows, warm_start

TINY = """
size = 64
[autoencoder]
channels = [8, 8, 16, 16]
[diffusion]
channels = [16, 32, 32]
text_width = 32
text_heads = 2
[pair]
image_size = 32
width = 32
layers = 1
heads = 2
projection = 16
"""


@pytest.fixture()
def config(tmp_path: Path) -> StarterConfig:
    (tmp_path / "tiny.toml").write_text(TINY)
    return StarterConfig.load(CONFIG_PATH, tmp_path / "tiny.toml")


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


def test_a_deeper_autoencoder_takes_over_the_inner_levels(config: StarterConfig) -> None:
    shallow = config.model_copy(update={"autoencoder": config.autoencoder.model_copy(
        update={"channels": config.autoencoder.channels[1:]})})
    old, new = autoencoder.build(shallow), autoencoder.build(config)
    copied = autoencoder.copy_inner(old, new)
    assert len(old.state_dict()) // 2 < copied <= len(old.state_dict())
    assert torch.equal(new.encoder.mid_block.resnets[0].conv1.weight, old.encoder.mid_block.resnets[0].conv1.weight)
    assert torch.equal(new.encoder.down_blocks[3].resnets[0].conv2.weight,
                       old.encoder.down_blocks[2].resnets[0].conv2.weight)
    assert torch.equal(new.decoder.up_blocks[0].resnets[0].conv1.weight,
                       old.decoder.up_blocks[0].resnets[0].conv1.weight)
    x = torch.rand(1, 3, 64, 64)
    assert new.encode(x).latent_dist.mean.shape == (1, 4, 8, 8) == (1, 4, config.latent_side, config.latent_side)


def test_latents_are_matched_at_half_the_size(tmp_path: Path, config: StarterConfig) -> None:
    shallow = config.model_copy(update={"autoencoder": config.autoencoder.model_copy(
        update={"channels": config.autoencoder.channels[1:]})})
    old = autoencoder.build(shallow)
    old.save_pretrained(tmp_path / "vae")
    match = autoencoder.Match(tmp_path, autoencoder.build(config), torch.device("cpu"))
    x = torch.rand(1, 3, 64, 64)
    small = torch.nn.functional.avg_pool2d(x, 2)
    with torch.no_grad():
        assert torch.allclose(match.latents(x), old.encode(small).latent_dist.mean, atol=1e-5)
    with pytest.raises(StudioError, match="match_from"):
        autoencoder.Match(tmp_path / "nowhere", autoencoder.build(config), torch.device("cpu"))


def test_a_config_with_a_wrong_key_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[pair]\nsteps = 3\nstep = 4\n")
    with pytest.raises(StudioError, match=r"pair\.step"):
        StarterConfig.load(CONFIG_PATH, tmp_path / "wrong.toml")


def test_the_pair_ships_beside_the_text_encoder_and_loads_as_a_stock_clip_model(
        tmp_path: Path, config: StarterConfig) -> None:
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTextModel

    tokens = tokenizer.build(config.diffusion.text_length)
    text_encoder = diffusion.build_text_encoder(config, tokens)
    pipeline = tmp_path / "pipeline"
    text_encoder.save_pretrained(pipeline / "text_encoder")
    tokens.save_pretrained(pipeline / "tokenizer")
    trained = pair.ImageSide(pair.build(config, text_encoder))
    torch.save({"model": trained.state_dict()}, tmp_path / "pair.pt")
    pair.export(config, tmp_path, pipeline)

    stock = CLIPModel.from_pretrained(pipeline / "clip").float().eval()
    again = CLIPTextModel.from_pretrained(pipeline / "text_encoder").eval()
    text = tokens("a red cat on the beach", return_tensors="pt")
    with torch.no_grad():
        pooled = text_encoder.eval()(text.input_ids).pooler_output
        assert torch.equal(again(text.input_ids).pooler_output, pooled)
        assert torch.allclose(stock.text_model(text.input_ids).pooler_output, pooled, atol=1e-3)
        x = torch.rand(2, 3, 32, 32)
        ours = trained(x, pooled)
        theirs = stock(input_ids=text.input_ids, attention_mask=text.attention_mask, pixel_values=x).logits_per_image
    assert torch.allclose(ours, theirs, atol=0.05)
    ours_on_disk = sum(f.stat().st_size for f in (pipeline / "clip").glob("*.safetensors"))
    assert ours_on_disk < (pipeline / "text_encoder" / "model.safetensors").stat().st_size  # no second text tower
    assert CLIPImageProcessor.from_pretrained(pipeline / "clip").crop_size["height"] == 32
