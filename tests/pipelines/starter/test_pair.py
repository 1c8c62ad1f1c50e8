"""The image tower that ships beside the text tower."""

from pathlib import Path

import torch

from pipelines.starter import diffusion, pair, tokenizer
from pipelines.starter.config import StarterConfig


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
