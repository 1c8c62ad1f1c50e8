from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from adapters.host import Host
from pipelines.dataset import CAPTIONS, LatentDataset, build_dataset, square, views_of
from pipelines.encode import encode_images, encode_prompts
from pipelines.wording import with_article


def picture(width: int = 60, height: int = 40) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def build(host: Host, seed: int = 0, **changes: object) -> LatentDataset:
    options = {"side": 32, "flip": False, "zoom": 1.0, "views": 1, **changes}
    return build_dataset(host, [picture(), picture(40, 60)], "zok cat", seed=seed, **options)


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
    settings = {"side": 16, "flip": False, "zoom": 1.0, "views": 1, **options}
    views = views_of(picture(), generator=torch.Generator().manual_seed(0), **settings)
    assert len(views) == count
    assert all(v.size == (16, 16) for v in views)


def test_the_second_half_of_flipped_views_mirrors_the_first() -> None:
    views = views_of(picture(), side=16, flip=True, zoom=0.5, views=3,
                     generator=torch.Generator().manual_seed(0))
    for view, mirrored in zip(views[:3], views[3:], strict=True):
        assert np.array_equal(np.array(view)[:, ::-1], np.array(mirrored))


def test_latents_are_the_posteriors_mean_times_the_scaling_factor(host: Host) -> None:
    image = square(picture(), 32)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        mean = host.vae.encode(pixels).latent_dist.mean
    assert torch.equal(encode_images(host, [image]), mean * host.vae.config.scaling_factor)


def test_every_caption_has_its_states(host: Host) -> None:
    data = build(host)
    assert torch.equal(data.states, encode_prompts(host, [c.format("a zok cat") for c in CAPTIONS]))
    assert data.states.shape == (len(CAPTIONS), 77, 24)


def test_long_prompts_are_cut_at_the_tokenizers_length(host: Host) -> None:
    assert encode_prompts(host, ["cat " * 500, "cat"]).shape == (2, 77, 24)


def test_the_same_seed_gives_the_same_crops_and_another_seed_others(host: Host) -> None:
    one, two, three = (build(host, s, zoom=0.5, views=3).latents for s in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, three)


def test_samples_come_from_the_generator_alone_and_reach_every_view_and_caption() -> None:
    data = LatentDataset(torch.arange(5.0).view(5, 1, 1, 1), torch.arange(3.0).view(3, 1, 1))
    batches = [data.sample(torch.Generator().manual_seed(4), 64) for _ in range(2)]
    assert torch.equal(batches[0].latents, batches[1].latents)
    assert torch.equal(batches[0].states, batches[1].states)
    assert set(batches[0].latents.flatten().tolist()) == set(range(5))
    assert set(batches[0].states.flatten().tolist()) == set(range(3))
