from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from adapters.host import Host
from adapters.record import Concept
from adapters.text import Conditioning, Tokens
from pipelines.dataset import (
    CAPTIONS,
    Buckets,
    LatentDataset,
    WithPrior,
    bucket,
    build_dataset,
    mask_grid,
    square,
    views_of,
)
from pipelines.encode import encode_images
from pipelines.lesson import Lesson, Picture
from pipelines.methods.lora.config import Config
from pipelines.methods.plain import plain_samples
from pipelines.wording import with_article


def picture(width: int = 60, height: int = 40) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


PROMPTS = [c.format("a zok cat") for c in CAPTIONS]


def build(host: Host, seed: int = 0, live: bool = False, **changes: object) -> LatentDataset | Buckets:
    config = Config(steps=1, learning_rate=1, seed=seed, **{"buckets": False, **changes})
    return build_dataset(host, [Picture(picture()), Picture(picture(40, 60))], PROMPTS, config, live=live)


def test_square_keeps_the_middle() -> None:
    middle = picture().crop((10, 0, 50, 40))
    assert np.array_equal(np.array(square(picture(), 40)), np.array(middle))


@pytest.mark.parametrize(("phrase", "said"), [("zok cat", "a zok cat"), ("Owl", "an Owl"), ("", "a ")])
def test_articles(phrase: str, said: str) -> None:
    assert with_article(phrase) == said


@pytest.mark.parametrize(("options", "count"), [
    ({}, 1), ({"flip": True}, 2), ({"views": 4}, 1), ({"zoom": 0.5, "views": 4}, 4),
    ({"zoom": 0.5, "views": 4, "flip": True}, 8),
])
def test_number_of_views(options: dict[str, object], count: int) -> None:
    settings = {"size": (16, 24), "flip": False, "zoom": 1.0, "views": 1, **options}
    views = views_of(Picture(picture()), generator=torch.Generator().manual_seed(0), **settings)
    assert len(views) == count
    assert all(v.image.size == (16, 24) for v in views)


def test_the_second_half_of_flipped_views_mirrors_the_first() -> None:
    views = views_of(Picture(picture()), size=(16, 16), flip=True, zoom=0.5, views=3,
                     generator=torch.Generator().manual_seed(0))
    for view, mirrored in zip(views[:3], views[3:], strict=True):
        assert np.array_equal(np.array(view.image)[:, ::-1], np.array(mirrored.image))


def test_masks_go_the_way_of_their_picture() -> None:
    """A mask that is the picture's own red channel still is after crop and mirror."""
    made = Picture(picture(), (picture().getchannel("R"),))
    for view in views_of(made, size=(20, 20), flip=True, zoom=0.5, views=4,
                         generator=torch.Generator().manual_seed(3)):
        assert np.array_equal(np.array(view.masks[0]), np.array(view.image)[..., 0])


def test_mask_grids_are_area_means_or_the_nearest_pixel() -> None:
    mask = Image.fromarray(np.kron(np.array([[255, 0], [0, 0]], np.uint8), np.ones((3, 3), np.uint8)))
    assert torch.equal(mask_grid([mask], (2, 2), soft=True)[0], torch.tensor([[1.0, 0], [0, 0]]))
    assert mask_grid([mask], (1, 1), soft=True).item() == pytest.approx(0.25)
    assert set(mask_grid([mask], (3, 3), soft=False).unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize(("size", "expected"), [
    ((100, 100), (512, 512)), ((3000, 2000), (640, 384)), ((2000, 3000), (384, 640)), ((9000, 100), (768, 320)),
])
def test_buckets_keep_the_shape_and_about_the_area(size: tuple[int, int], expected: tuple[int, int]) -> None:
    width, height = bucket(size, 512, 64)
    assert (width, height) == expected
    assert width % 64 == height % 64 == 0 and width * height <= 512 * 512


def test_pictures_of_two_shapes_make_two_buckets_and_batches_of_one(host: Host) -> None:
    data = build(host, buckets=True)
    assert isinstance(data, Buckets) and len(data.parts) == 2
    shapes = {tuple(data.sample(torch.Generator().manual_seed(n), 3).latents.shape[2:]) for n in range(20)}
    assert shapes == {tuple(p.latents.shape[2:]) for p in data.parts}


def test_a_caption_stands_in_for_the_prompts_of_its_picture(host: Host) -> None:
    config = Config(steps=1, learning_rate=1, buckets=False)
    data = build_dataset(host, [Picture(picture(), caption="a red cat"), Picture(picture(40, 60))], PROMPTS, config)
    assert isinstance(data, LatentDataset)
    assert data.prompts_of == ((len(PROMPTS),), tuple(range(len(PROMPTS))))
    batch = data.sample(torch.Generator().manual_seed(0), 64)
    captioned = (batch.latents == data.latents[0]).flatten(1).all(1)
    assert torch.equal(batch.text.states[captioned], data.text.states[-1].expand(int(captioned.sum()), -1, -1))
    assert not (batch.text.states[~captioned] == data.text.states[-1]).flatten(1).all(1).any()


def counted(data: LatentDataset | Buckets, number: int, seed: int = 0) -> dict[tuple[float, ...], int]:
    """How often each latent is drawn, by its first numbers."""
    found: dict[tuple[float, ...], int] = {}
    generator = torch.Generator().manual_seed(seed)
    for _ in range(number):
        for latent in data.sample(generator, 4).latents:
            key = tuple(latent.flatten()[:4].tolist())
            found[key] = found.get(key, 0) + 1
    return found


@pytest.mark.parametrize("buckets", [False, True])
def test_views_are_drawn_in_proportion_to_their_pictures_repeats_also_across_buckets(host: Host,
                                                                                    buckets: bool) -> None:
    config = Config(steps=1, learning_rate=1, buckets=buckets, flip=True)
    pictures = [Picture(picture(), repeats=1), Picture(picture(40, 60), repeats=8), Picture(picture(64, 40), repeats=3)]
    data = build_dataset(host, pictures, PROMPTS, config)
    assert isinstance(data, Buckets) == buckets
    counts = sorted(counted(data, 1000).values())  # of 4000 samples and two views a picture
    for seen, parts in zip(counts, (1, 1, 3, 3, 8, 8), strict=True):
        expected = 4000 * parts / 24
        assert abs(seen - expected) < 6 * expected**0.5  # a bucket's whole batch is of it, which spreads them more


def test_equal_repeats_and_weights_of_1_draw_the_same_numbers_as_none(host: Host) -> None:
    config = Config(steps=1, learning_rate=1, zoom=0.5, views=3)
    one = [Picture(picture()), Picture(picture(40, 60))]
    plain, tens = (build_dataset(host, ps, PROMPTS, config) for ps in (one, [replace(p, repeats=10) for p in one]))
    assert isinstance(plain, Buckets) and isinstance(tens, Buckets)
    for part in (*plain.parts, *tens.parts):
        assert part.repeats is None and part.weights is None
    assert counted(plain, 20) == counted(tens, 20)


def test_each_sample_has_its_pictures_weight_and_class_images_have_none(host: Host) -> None:
    config = Config(steps=1, learning_rate=1, buckets=False, flip=True)
    data = build_dataset(host, [Picture(picture(), weight=0.5), Picture(picture(40, 60))], PROMPTS, config)
    assert isinstance(data, LatentDataset)
    batch = WithPrior(data, build(host)).sample(torch.Generator().manual_seed(0), 32)
    assert batch.weights is not None and batch.weights.shape == (32,) and set(batch.weights.tolist()) == {0.5, 1.0}
    for latent, weight in zip(batch.latents, batch.weights.tolist(), strict=False):
        light = any(torch.equal(latent, data.latents[v]) for v in (0, 1))
        assert weight == (0.5 if light else 1.0)


def test_lines_of_a_caption_take_turns(host: Host) -> None:
    config = Config(steps=1, learning_rate=1, buckets=False)
    data = build_dataset(host, [Picture(picture(), caption="a red cat\n\n a blue cat ")], PROMPTS, config)
    assert isinstance(data, LatentDataset) and data.prompts_of == ((len(PROMPTS), len(PROMPTS) + 1),)
    drawn = data.sample(torch.Generator().manual_seed(0), 64).text.states
    expected = host.text.encode_prompts([*PROMPTS, "a red cat", "a blue cat"]).states
    reds, blues = ((drawn == expected[n]).flatten(1).all(1).sum() for n in (-2, -1))
    assert 20 < reds < 44 and reds + blues == 64


def test_class_images_have_the_size_of_their_bucket(host: Host) -> None:
    config = Config(steps=2, batch=2, learning_rate=1, prior_weight=1.0)
    taught = Lesson((Picture(picture(64, 40)), Picture(picture(40, 64)), Picture(picture(64, 40))),
                    (Concept(name="mycat", noun="cat", trigger="zok"),),
                    class_images=lambda noun, count: [picture(48, 48)] * count)
    samples, generator = plain_samples(host, config, taught, live=False), torch.Generator().manual_seed(0)
    shapes = [tuple(samples.sample(generator, 2).latents.shape) for _ in range(20)]
    assert {s[0] for s in shapes} == {4} and len(set(shapes)) == 2


def test_class_images_stand_behind_the_own_ones(host: Host) -> None:
    own, prior = build(host, live=True), build(host, live=True, seed=1)
    batch = WithPrior(own, prior).sample(torch.Generator().manual_seed(0), 3)
    assert len(batch.latents) == 6 and batch.prior == 3
    assert isinstance(batch.text, Tokens) and len(batch.text) == 6


def test_latents_are_the_posteriors_mean_times_the_scaling_factor(host: Host) -> None:
    image = square(picture(), 32)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        mean = host.vae.encode(pixels).latent_dist.mean
    assert torch.equal(encode_images(host, [image]), mean * host.vae.config.scaling_factor)


def test_every_caption_has_its_states(host: Host) -> None:
    data = build(host)
    assert torch.equal(data.text.states, host.text.encode_prompts(PROMPTS).states)
    assert data.text.states.shape == (len(CAPTIONS), 77, 24)


def test_long_prompts_are_cut_at_the_tokenizers_length(host: Host) -> None:
    assert host.text.encode_prompts(["cat " * 500, "cat"]).states.shape == (2, 77, 24)


def test_the_same_seed_gives_the_same_crops_and_another_seed_others(host: Host) -> None:
    one, two, three = (build(host, s, zoom=0.5, views=3).latents for s in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, three)


def test_samples_come_from_the_generator_alone_and_reach_every_view_and_caption() -> None:
    data = LatentDataset(torch.arange(5.0).view(5, 1, 1, 1), Conditioning(torch.arange(3.0).view(3, 1, 1)))
    batches = [data.sample(torch.Generator().manual_seed(4), 64) for _ in range(2)]
    assert torch.equal(batches[0].latents, batches[1].latents)
    assert torch.equal(batches[0].text.states, batches[1].text.states)
    assert set(batches[0].latents.flatten().tolist()) == set(range(5))
    assert set(batches[0].text.states.flatten().tolist()) == set(range(3))
