"""The image tower that ships beside the text tower."""

from pathlib import Path

import torch
from transformers import CLIPModel

from pipelines.starter import diffusion, pair, tokenizer
from pipelines.starter.config import StarterConfig
from pipelines.starter.export import export


def test_the_pair_ships_beside_the_text_encoder_and_loads_as_a_stock_clip_model(
        tmp_path: Path, config: StarterConfig) -> None:
    from transformers import CLIPImageProcessor, CLIPTextModel

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


def test_a_batch_is_of_few_scenes_with_many_pictures_each() -> None:
    scenes = [f"scene {n % 8}" for n in range(400)]
    torch.manual_seed(0)
    drawn = [pair.Batches(scenes, 32, 4).draw() for _ in range(50)]
    for index in drawn:
        assert len(set(index.tolist())) == 32
        assert len({scenes[n] for n in index}) == 4
    assert {scenes[n] for index in drawn for n in index} == set(scenes)  # every scene comes up


def test_rare_scenes_come_up_as_rarely_as_they_are() -> None:
    scenes = ["common"] * 900 + ["middling"] * 90 + ["rare"] * 10
    torch.manual_seed(0)
    batches = pair.Batches(scenes, 8, 1)
    rare = sum(scenes[int(batches.draw()[0])] == "rare" for _ in range(1000))
    assert 2 <= rare <= 25


def test_worn_pictures_are_moved_and_half_of_them_blurred() -> None:
    dots = torch.full((200, 3, 16, 16), -1.0)
    dots[:, :, 8, 8] = 1.0
    torch.manual_seed(0)
    worn = pair.worn(dots.clone(), 3)
    sharp = (worn[:, 0] == 1).flatten(1).any(1)
    assert 70 < sharp.sum() < 130
    places = {tuple(p) for p in (worn[sharp][:, 0] == 1).nonzero()[:, 1:].tolist()}
    assert {x for _, x in places} == {y for y, _ in places} == set(range(5, 12))
    assert torch.allclose(worn[~sharp].amax((1, 2, 3)), torch.tensor(-1 + 2 / 9))


def test_a_pair_alone_replaces_the_pair_and_nothing_else(tmp_path: Path, config: StarterConfig) -> None:
    out, work = tmp_path / "out", tmp_path / "work"
    work.mkdir()
    text_encoder = diffusion.build_text_encoder(config, tokenizer.build(config.diffusion.text_length))
    text_encoder.save_pretrained(out / "pipeline" / "text_encoder")
    first, second = (pair.ImageSide(pair.build(config, text_encoder)) for _ in range(2))
    for side in (first, second):
        torch.save({"model": side.state_dict()}, work / "pair.pt")
        export(config, work, out)
        held = {f: f.read_bytes() for f in out.rglob("*") if f.is_file() and f.parent.name != pair.FOLDER}
        if side is first:
            before = held
    assert held == before and set(out.iterdir()) == {out / "pipeline"}
    shipped = CLIPModel.from_pretrained(out / "pipeline" / pair.FOLDER).float()
    assert torch.allclose(shipped.visual_projection.weight, second.visual_projection.weight, atol=1e-3)
    assert not torch.allclose(shipped.visual_projection.weight, first.visual_projection.weight, atol=1e-3)
