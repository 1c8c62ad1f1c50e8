"""Small Stable Diffusion 2 and XL bases: every method trains on them, and they paint as the stock pipelines do."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline
from PIL import Image

from adapters.host import Framing, Host
from adapters.identity import BaseIdentity
from adapters.lora import LoraAdapter, diffusers_format, kohya_format
from adapters.lora.adapter import ATTENTION, FEED_FORWARD, TEXT_ENCODER
from adapters.record import AdapterRecord, Concept
from adapters.studio_file import load
from adapters.tensors import read_tensors, write_tensors
from adapters.tokens import TokensAdapter
from pipelines.base_models.load import load_base
from pipelines.dataset import LatentDataset, build_dataset, views_of
from pipelines.editing import Edit
from pipelines.encode import encode_images
from pipelines.generator import Chosen, Generator, Request
from pipelines.lesson import Lesson, Picture
from pipelines.methods import recipe_builder
from pipelines.methods.common import resolve
from pipelines.run_config import RunConfig
from pipelines.training import train_run
from tests.adapters.lora.tools import random_weights
from tests.pipelines.base_models import small

FAMILIES = ("sd2", "sdxl")
WIDTHS = {"sd2": [1024], "sdxl": [768, 1280]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for family in FAMILIES:
        place = tmp_path_factory.mktemp(family)
        small.pipeline(family, small.configurations(place / "configured", family)).save_pretrained(place / "base")
        made[family] = place / "base"
    return made


@pytest.fixture(scope="module")
def hosts(folders: dict[str, Path]) -> dict[str, Host]:
    """Adapters that go into them come out again."""
    return {family: load_base(str(folder)) for family, folder in folders.items()}


def photo(width: int = 90, height: int = 70) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


# training

OPTIONS: dict[str, dict[str, Any]] = {
    "lora": {"text_encoder": True, "learning_rate": 1e-2},
    "textual-inversion": {"vectors": 2, "norm_prior": True},
    "perfusion": {"captions": 100, "ridge": 1e-3, "accumulate": 1},
    "break-a-scene": {"prior_images": 1, "learning_rate": 1e-2, "word_rate": 1e-2},
}


class Never:
    def stop_requested(self) -> bool:
        return False


def make_run(folder: Path, base: Path, family: str, method: str) -> Path:
    (folder / "references").mkdir(parents=True)
    (folder / "masks").mkdir()
    photo().save(folder / "references" / "00.png")
    mask = Image.new("L", photo().size, 0)
    mask.paste(255, (10, 10, 70, 60))
    mask.save(folder / "masks" / "00-0.png")
    settings = resolve(method, family, "fast", steps=2, batch=1, checkpoint_every=1, preview_every=0, precision="fp32",
                       **OPTIONS[method])
    RunConfig(name="mycat", class_noun="cat", base=str(base), offline=True, training=settings,
              trigger="" if settings.learns_words else "zok").save(folder)
    return folder


def expected_to_learn(method: str, family: str, tensors: dict[str, torch.Tensor]) -> set[str]:
    """Tensors that the second of two steps must have moved."""
    words = {"textual-inversion": "<mycat>.{}", "perfusion": "token.{}", "break-a-scene": "words/<mycat>.{}"}
    found = {words[method].format(n) for n in range(len(WIDTHS[family]))} if method in words else set()
    if method == "perfusion":
        found |= {k for k in tensors if k.endswith("to_v")} | {"i"}
    elif method in ("lora", "break-a-scene"):
        found |= {k for k in tensors if "lora_B" in k and "unet" in k}
        found |= {k for k in tensors if "lora_B" in k and "layers.0" in k and "text_encoder" in k}
    return found


SLOW = {("sdxl", "perfusion"), ("sdxl", "break-a-scene")}


@pytest.mark.parametrize(("family", "method"), [
    pytest.param(f, m, marks=[pytest.mark.slow] if (f, m) in SLOW else []) for f in FAMILIES for m in OPTIONS])
def test_a_method_trains_on_the_family_and_its_adapter_paints(folders: dict[str, Path], hosts: dict[str, Host],
                                                              tmp_path: Path, family: str, method: str) -> None:
    folder, events = make_run(tmp_path / "run", folders[family], family, method), list[dict[str, Any]]()
    path = train_run(folder, report=events.append, control=Never())
    losses = [e for e in events if e["type"] == "step"]
    assert len(losses) == 2 and all(0 < e["loss"] < 1e4 for e in losses)
    assert path is not None
    first = read_tensors(folder / "checkpoints" / "mycat-step00000001.safetensors")[1]
    last = read_tensors(path)[1]
    moved = {k for k in last if not torch.equal(last[k], first[k])}
    wanted = expected_to_learn(method, family, last)
    assert wanted and wanted <= moved
    if method == "break-a-scene":
        assert all(e["attention"] > 0 for e in losses)
    if method == "perfusion":
        assert last["i"].shape == (sum(WIDTHS[family]),)
        assert [last[f"token.{n}"].shape[1] for n in range(len(WIDTHS[family]))] == WIDTHS[family]
    adapter, record = load(path)
    assert record.base == hosts[family].identity
    request = Request(prompt=f"a photo of a {record.phrase}", steps=2, guidance=2.0, seed=1)
    painter = Generator(hosts[family])
    before = painter.paint(request).images[0]
    with painter.using([Chosen(adapter, record)]):
        learned = painter.paint(request).images[0]
    assert np.array_equal(np.array(painter.paint(request).images[0]), np.array(before))
    assert not np.array_equal(np.array(learned), np.array(before))
    assert learned.size == (hosts[family].resolution,) * 2


def test_break_a_scene_looks_at_32_on_sdxl_and_at_16_on_sd2(hosts: dict[str, Host]) -> None:
    lesson = Lesson((Picture(photo(), (Image.new("L", photo().size, 255),)),),
                    (Concept(name="mycat", noun="cat", trigger="<mycat>", learned=True),))
    for family, side in (("sd2", 16), ("sdxl", 32)):
        recipe = recipe_builder("break-a-scene")(hosts[family], resolve("break-a-scene", family, "fast"), lesson)
        recipe.adapter.inject(hosts[family], "a")
        try:
            assert recipe.probe().resolution == side
        finally:
            recipe.adapter.eject()


# painting


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edit_keeps_what_the_mask_keeps_and_a_white_mask_is_plain_painting(hosts: dict[str, Host],
                                                                             family: str) -> None:
    request = Request(prompt="a photo of a cat", seed=7, steps=3, guidance=5.0, width=128, height=64)
    painter, picture, mask = Generator(hosts[family]), photo(128, 64), Image.new("L", (128, 64), 0)
    mask.paste(255, (0, 0, 70, 64))
    half = np.array(painter.paint(request, edit=Edit(picture, mask)).images[0])
    assert np.array_equal(half[:, 70:], np.array(picture)[:, 70:])
    assert not np.array_equal(half[:, :70], np.array(picture)[:, :70])
    whole = painter.paint(request, edit=Edit(picture, Image.new("L", (128, 64), 255))).images[0]
    assert np.array_equal(np.array(whole), np.array(painter.paint(request).images[0]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("negative", ["", "a dog"])
def test_a_picture_is_that_of_the_stock_pipeline(folders: dict[str, Path], hosts: dict[str, Host], family: str,
                                                 negative: str) -> None:
    """On the same tensors: a second copy elsewhere in memory can differ in the last bits."""
    kind, one = StableDiffusionXLPipeline if family == "sdxl" else StableDiffusionPipeline, hosts[family]
    stock = kind.from_pretrained(folders[family], local_files_only=True, vae=one.vae, **one.components)
    settings = {"num_inference_steps": 3, "guidance_scale": 5.0, "width": 128, "height": 64}
    theirs = stock("a photo of a cat", negative_prompt=negative or None, **settings,
                   generator=torch.Generator("cpu").manual_seed(7)).images[0]
    ours = Generator(hosts[family]).paint(Request(prompt="a photo of a cat", negative_prompt=negative, seed=7, steps=3,
                                                  guidance=5.0, width=128, height=64)).images[0]
    assert np.array_equal(np.array(ours), np.array(theirs))
    assert np.array(ours).std() > 1


def test_a_model_that_encodes_the_empty_prompt_has_no_zeros_for_it(folders: dict[str, Path], tmp_path: Path) -> None:
    stock = StableDiffusionXLPipeline.from_pretrained(folders["sdxl"], local_files_only=True)
    stock.register_to_config(force_zeros_for_empty_prompt=False)
    stock.save_pretrained(tmp_path / "base")
    host = load_base(str(tmp_path / "base"))
    text = host.text.encode_prompts([""])
    assert text.states.abs().max() > 0 and host.text.negative(text, "") is text


@pytest.mark.parametrize("mended", [False, True])
def test_sdxls_autoencoder_stays_in_full_precision_unless_mended(hosts: dict[str, Host], mended: bool) -> None:
    """Half precision would overflow; under autocast it must not be lowered either."""
    one = hosts["sdxl"]
    vae: Any = AutoencoderKL.from_config(one.vae.config, force_upcast=not mended)
    vae.load_state_dict(one.vae.state_dict())
    host = Host(one.identity, one.components, one.tokenizer, vae, one.scheduler, one.tokenizer_2)
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        full = vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor
        painted = vae.decode(full / vae.config.scaling_factor).sample
    with torch.autocast("cpu", torch.bfloat16):
        encoded, decoded = host.encode(pixels), host.decode(full)
    assert torch.equal(encoded, full) != mended and torch.equal(decoded, painted) != mended
    halves = Host(one.identity, {}, one.tokenizer, copy.deepcopy(vae), one.scheduler)
    assert halves.to("cpu", torch.float16).vae.dtype == (torch.float16 if mended else torch.float32)


# text


@pytest.mark.parametrize("legacy", [False, True])
def test_the_pooled_text_is_the_end_tokens_whatever_words_are_in_the_prompt(hosts: dict[str, Host],
                                                                            legacy: bool) -> None:
    """Legacy configurations name 2 as the end token, and transformers then pools at the largest id."""
    host = hosts["sdxl"]
    inner = host.components["text_encoder_2"].text_model
    own, inner.eos_token_id = inner.eos_token_id, 2 if legacy else inner.eos_token_id
    words = TokensAdapter({"<mycat>": [torch.randn(3, w) for w in WIDTHS["sdxl"]]})
    words.inject(host, "a")
    try:
        tokens = host.text.tokenize(["<mycat>", "a <mycat> in the snow!"])
        seen = list[torch.Tensor]()
        hook = inner.register_forward_hook(lambda _m, _a, out: seen.append(out.last_hidden_state))
        with torch.no_grad():
            text = host.text.encode(tokens)
            hook.remove()
            ends = (~tokens.padding).sum(1) - 1
            assert (tokens.ids[[0, 1], ends] == host.tokenizer.eos_token_id).all()
            assert text.pooled is not None
            expected = host.components["text_encoder_2"].text_projection(seen[0][[0, 1], ends])
            assert torch.equal(text.pooled, expected)
        assert text.states.shape == (2, 77, 2048)
    finally:
        inner.eos_token_id = own
        words.eject()


def test_both_encoders_read_the_learned_vectors(hosts: dict[str, Host]) -> None:
    for encoder, columns in ((0, slice(0, 768)), (1, slice(768, 2048))):
        found = []
        for seed in (0, 1):
            rows = [torch.zeros(1, w) for w in WIDTHS["sdxl"]]
            rows[encoder] = torch.randn(1, WIDTHS["sdxl"][encoder], generator=torch.Generator().manual_seed(seed))
            words = TokensAdapter({"<mycat>": rows})
            words.inject(hosts["sdxl"], "a")
            found.append(hosts["sdxl"].text.encode_prompts(["a <mycat>"]).states[0])
            words.eject()
        moved = (found[0] - found[1]).abs().amax(0) > 0
        assert moved[columns].all() and moved.sum() == moved[columns].sum()


# sizes


@pytest.mark.parametrize(("shape", "size"), [((90, 70), (64, 64)), ((70, 90), (64, 64)), ((40, 30), (96, 64)),
                                             ((300, 200), (64, 96))])
def test_framings_say_which_part_of_the_picture_a_view_is(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """On a picture whose colours are its coordinates, each view's middle is where its framing says."""
    x, y = np.meshgrid((np.arange(shape[0]) + 0.5) / shape[0], (np.arange(shape[1]) + 0.5) / shape[1])
    image = Image.fromarray((np.stack([x, y, 0 * x], -1) * 255).round().astype(np.uint8))
    chance = torch.Generator().manual_seed(1)
    views = views_of(Picture(image), size=size, flip=True, zoom=0.4, views=6, generator=chance)
    assert len(views) == 12 and len({v.framing.corner for v in views}) > 6
    for number, view in enumerate(views):
        mirrored, f = number >= 6, view.framing
        assert (f.original, f.size) == (shape, size)
        pixels = np.array(view.image).astype(float) / 255
        slope = np.gradient(pixels[size[1] // 2, 4:-4, 0]).mean()
        scale = abs(1 / (slope * shape[0]))
        across, down = ((corner + side / 2) / (scale * whole)
                        for corner, side, whole in zip(f.corner, size, shape, strict=True))
        middle = pixels[size[1] // 2 - 1:size[1] // 2 + 1, size[0] // 2 - 1:size[0] // 2 + 1].mean((0, 1))
        assert middle[0] == pytest.approx(1 - across if mirrored else across, abs=0.03)
        assert middle[1] == pytest.approx(down, abs=0.03)


def test_sdxls_batches_carry_each_views_sizes_height_first(hosts: dict[str, Host]) -> None:
    config = resolve("lora", "sdxl", "fast", buckets=False)
    data = build_dataset(hosts["sdxl"], [Picture(photo(90, 70))], ["a cat"], config)
    assert isinstance(data, LatentDataset) and data.sizes is not None
    side = hosts["sdxl"].resolution
    assert side == 512
    # 90 x 70 becomes 658 x 512, of which 73 are cut off on the left.
    assert data.sizes.tolist() == [[70, 90, 0, 73, 512, 512]]
    batch = data.sample(torch.Generator().manual_seed(0), 3)
    assert torch.equal(batch.sizes, data.sizes.expand(3, -1))
    assert build_dataset(hosts["sd2"], [Picture(photo())], ["a cat"], config).sizes is None


def test_sizes_reach_the_denoiser(hosts: dict[str, Host]) -> None:
    host = hosts["sdxl"]
    text = host.text.encode_prompts(["a cat"])
    noisy = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = (host.denoise(noisy, torch.tensor([500]), text, host.sizes([Framing(o, (0, 0), (128, 128))]))
                      for o in ((128, 128), (2000, 900)))
    assert not torch.equal(one, other)


# LoRA files


def around(pipe: Any, host: Host) -> Host:
    return Host(host.identity, {n: getattr(pipe, n) for n in host.components}, host.tokenizer, host.vae, host.scheduler,
                host.tokenizer_2)


@torch.no_grad()
def answer(host: Host) -> tuple[torch.Tensor, ...]:
    text = host.text.encode_prompts(["a photo of a cat"])
    noisy = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(7))
    said = host.denoise(noisy, torch.tensor([500]), text, host.sizes([Framing.whole((128, 128))]))
    return (said, text.states) + (() if text.pooled is None else (text.pooled,))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("form", ["diffusers", "kohya"])
def test_stock_diffusers_answers_the_same_with_our_file(folders: dict[str, Path], hosts: dict[str, Host],
                                                        tmp_path: Path, family: Any, form: str) -> None:
    host = hosts[family]
    names = [n for n in host.layers() if (n.startswith("unet.") and n.endswith(ATTENTION + FEED_FORWARD))
             or (n.startswith("text_encoder") and n.endswith(TEXT_ENCODER))]
    # diffusers' own reader of kohya files takes one alpha for all layers.
    sizes = dict.fromkeys(names, (4, 2.0)) if form == "kohya" else {
        n: (4 - number % 3, 2.0 + number % 2) for number, n in enumerate(names)}
    weights = random_weights(host, sizes)
    record = AdapterRecord(kind="lora", method="lora", name="mycat",
                           base=BaseIdentity(family=family, name="", hash=""))
    write_tensors(tmp_path / "a.safetensors", *(
        diffusers_format.encode(weights) if form == "diffusers" else kohya_format.encode(weights, record)))
    kind = StableDiffusionXLPipeline if family == "sdxl" else StableDiffusionPipeline
    pipe = kind.from_pretrained(folders[family], local_files_only=True)
    pipe.load_lora_weights(str(tmp_path), weight_name="a.safetensors", local_files_only=True)
    base, theirs = answer(host), answer(around(pipe, host))
    adapter = LoraAdapter.from_weights(weights)
    adapter.inject(host, "a")
    ours = answer(host)
    adapter.eject()
    for mine, other, before in zip(ours, theirs, base, strict=True):
        assert (mine - other).abs().max() < 1e-4 * mine.abs().max() < (mine - before).abs().max()
    assert all(torch.equal(a, b) for a, b in zip(answer(host), base, strict=True))


def test_latents_take_the_familys_own_scale(hosts: dict[str, Host]) -> None:
    assert [hosts[f].vae.config.scaling_factor for f in FAMILIES] == [0.18215, 0.13025]
    image = photo(64, 64)
    latents = encode_images(hosts["sdxl"], [image])
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        assert torch.equal(latents, hosts["sdxl"].vae.encode(pixels).latent_dist.mean * 0.13025)
