"""References as a training set: latents and text states, each computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageOps

from adapters.host import Host
from pipelines.encode import encode_images, encode_prompts
from pipelines.recipe import Batch
from pipelines.wording import with_article

CAPTIONS = ("a photo of {}", "a picture of {}", "an image of {}", "{}")


def square(image: Image.Image, side: int) -> Image.Image:
    """The largest centred square, resized to `side` pixels."""
    return ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class LatentDataset:
    """`latents` [V, C, h, w]: every view of every picture; `states` [P, T, D]: every caption."""

    latents: torch.Tensor
    states: torch.Tensor

    def sample(self, generator: torch.Generator, batch: int) -> Batch:
        """A random batch: views and captions drawn apart."""
        device = self.latents.device
        views = torch.randint(len(self.latents), (batch,), generator=generator).to(device)
        texts = torch.randint(len(self.states), (batch,), generator=generator).to(device)
        return Batch(self.latents[views], self.states[texts])


def views_of(image: Image.Image, *, side: int, flip: bool, zoom: float, views: int,
             generator: torch.Generator) -> list[Image.Image]:
    """The whole picture, then random crops down to `zoom` of its side; mirrored too with `flip`."""
    found = [square(image, side)]
    for _ in range(views - 1 if zoom < 1 else 0):
        scale, x, y = torch.rand(3, generator=generator).tolist()
        part = int(min(image.size) * (zoom + (1 - zoom) * scale))
        left, top = int(x * (image.width - part)), int(y * (image.height - part))
        found.append(square(image.crop((left, top, left + part, top + part)), side))
    return found + [ImageOps.mirror(v) for v in found] if flip else found


def build_dataset(host: Host, images: Sequence[Image.Image], phrase: str, *, side: int, flip: bool,
                  zoom: float, views: int, seed: int) -> LatentDataset:
    """Encode every view of `images` and every caption of `phrase` ('zok toy')."""
    generator = torch.Generator().manual_seed(seed)
    all_views = [v for image in images
                 for v in views_of(image, side=side, flip=flip, zoom=zoom, views=views,
                                   generator=generator)]
    subject = with_article(phrase)
    return LatentDataset(encode_images(host, all_views),
                         encode_prompts(host, [c.format(subject) for c in CAPTIONS]))
