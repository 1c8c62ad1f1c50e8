"""References as a training set: views, latents and masks computed once, batches drawn from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from adapters.host import Framing, Host
from adapters.text import Conditioning, Tokens, join
from pipelines.encode import encode_images
from pipelines.lesson import Picture
from pipelines.methods.common import TrainingConfig
from pipelines.recipe import Batch, Samples

Part = TypeVar("Part", bound=Samples, covariant=True)
CAPTIONS = ("a photo of {}", "a picture of {}", "an image of {}", "{}")


def square(image: Image.Image, side: int) -> Image.Image:
    """The largest centred square, resized to `side` pixels."""
    return ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)


def bucket(size: tuple[int, int], side: int, multiple: int, longest: float = 2.5) -> tuple[int, int]:
    """Width and height in multiples of `multiple` with about `side`^2 pixels, nearest in shape to `size`.

    Shapes go up to `longest` : 1 (aspect-ratio buckets as NovelAI's, 2022).
    """
    wanted = math.log(min(max(size[0] / size[1], 1 / longest), longest))
    units = side // multiple
    shapes = [(w, h) for w in range(1, 2 * units + 1)
              if (h := int(units * units / w)) and max(w / h, h / w) <= longest]
    w, h = min(shapes, key=lambda s: (abs(math.log(s[0] / s[1]) - wanted), -s[0] * s[1]))
    return w * multiple, h * multiple


@dataclass(frozen=True, kw_only=True)
class View(Picture):
    """A picture at the size it is learned in, and how it came to that."""

    framing: Framing


def views_of(picture: Picture, *, size: tuple[int, int], flip: bool, zoom: float, views: int,
             generator: torch.Generator) -> list[View]:
    """The whole picture at `size`, then random crops down to `zoom` of its side; mirrored too with `flip`.

    Masks take the same way as their picture.
    """
    width, height = picture.image.size
    boxes = [(0, 0, width, height)]
    for _ in range(views - 1 if zoom < 1 else 0):
        scale, x, y = torch.rand(3, generator=generator).tolist()
        part = int(min(width, height) * (zoom + (1 - zoom) * scale))
        left, top = int(x * (width - part)), int(y * (height - part))
        boxes.append((left, top, left + part, top + part))
    return [_view(picture, box, size, mirrored) for mirrored in ((False, True) if flip else (False,)) for box in boxes]


def _view(picture: Picture, box: tuple[int, int, int, int], size: tuple[int, int], mirrored: bool) -> View:
    """What is in `box`, its middle cut to the shape of `size` and brought to it; then mirrored."""
    def cut(image: Image.Image) -> Image.Image:
        found = ImageOps.fit(image.crop(box), size, Image.Resampling.LANCZOS)
        return ImageOps.mirror(found) if mirrored else found

    width, height = box[2] - box[0], box[3] - box[1]
    scale = max(size[0] / width, size[1] / height)
    left = box[0] * scale + (width * scale - size[0]) / 2
    if mirrored:  # as far from the mirrored picture's left as it was from the right
        left = picture.image.width * scale - size[0] - left
    top = box[1] * scale + (height * scale - size[1]) / 2
    return View(cut(picture.image), tuple(cut(m) for m in picture.masks), picture.caption, picture.repeats,
                picture.weight, framing=Framing(picture.image.size, (round(left), round(top)), size))


def mask_grid(masks: Sequence[Image.Image], size: tuple[int, int], *, soft: bool) -> torch.Tensor:
    """8-bit masks as [N, h, w] in 0-1 at `size` (height, width): area means, or the nearest pixel."""
    stack = torch.from_numpy(np.stack([np.asarray(m.convert("L")) for m in masks])).float() / 255
    if soft:
        return F.interpolate(stack[None], size, mode="area")[0]
    return (F.interpolate(stack[None], size, mode="nearest")[0] > 0.5).float()


@dataclass(frozen=True)
class LatentDataset:
    """Views of one size: `latents` [V, C, h, w], `masks` [V, N, h, w] or None, `text` of P prompts.

    `prompts_of[v]` are the numbers of the prompts that view v may have (None: all). `sizes` [V, 6] are
    SDXL's. View v is drawn in proportion to `repeats[v]` (None: all alike); `weights` [V] multiply the
    losses (None: all 1).
    """

    latents: torch.Tensor
    text: Conditioning | Tokens
    masks: torch.Tensor | None = None
    prompts_of: tuple[tuple[int, ...], ...] | None = None
    sizes: torch.Tensor | None = None
    repeats: torch.Tensor | None = None
    weights: torch.Tensor | None = None

    @property
    def share(self) -> float:
        """How often it is drawn from, among several."""
        return float(len(self.latents) if self.repeats is None else self.repeats.sum())

    def choose(self, generator: torch.Generator, batch: int) -> torch.Tensor:
        """The numbers [batch] of random views."""
        if self.repeats is None:
            return torch.randint(len(self.latents), (batch,), generator=generator)
        return torch.multinomial(self.repeats, batch, replacement=True, generator=generator)

    def weights_of(self, views: torch.Tensor) -> torch.Tensor | None:
        """The weights [B] of views [B]."""
        return None if self.weights is None else self.weights[views.to(self.weights.device)]

    def sample(self, generator: torch.Generator, batch: int) -> Batch:
        """A random batch: views and prompts drawn apart."""
        device = self.latents.device
        views = self.choose(generator, batch)
        if self.prompts_of is None:
            texts = torch.randint(len(self.text), (batch,), generator=generator)
        else:
            choices = [self.prompts_of[v] for v in views.tolist()]
            texts = torch.tensor([c[int(torch.randint(len(c), (), generator=generator))] for c in choices])
        views = views.to(device)
        return Batch(self.latents[views], self.text[texts.to(device)],
                     None if self.masks is None else self.masks[views],
                     sizes=None if self.sizes is None else self.sizes[views], weights=self.weights_of(views))


@dataclass(frozen=True)
class Buckets(Generic[Part]):
    """Several sizes: each batch is of one, chosen by its share of the views and their repeats."""

    parts: tuple[Part, ...]
    shares: tuple[float, ...]

    def sample(self, generator: torch.Generator, batch: int) -> Batch:
        """A batch of one part."""
        part = int(torch.multinomial(torch.tensor(self.shares), 1, generator=generator))
        return self.parts[part].sample(generator, batch)


@dataclass(frozen=True)
class Mixed:
    """Several sources, each chosen as often as the others."""

    sources: tuple[Samples, ...]

    def sample(self, generator: torch.Generator, batch: int) -> Batch:
        """A batch of one source."""
        return self.sources[int(torch.randint(len(self.sources), (), generator=generator))].sample(generator, batch)


@dataclass(frozen=True)
class WithPrior:
    """Prior preservation: as many class images behind every batch of the person's own."""

    own: Samples
    prior: Samples

    def sample(self, generator: torch.Generator, batch: int) -> Batch:
        """`batch` of the own, then `batch` of the class."""
        a, b = self.own.sample(generator, batch), self.prior.sample(generator, batch)
        masks = None
        if a.masks is not None:
            masks = torch.cat([a.masks, torch.zeros_like(a.masks[:1]).expand(batch, -1, -1, -1)])
        sizes = None if a.sizes is None or b.sizes is None else torch.cat([a.sizes, b.sizes])
        return Batch(torch.cat([a.latents, b.latents]), join(a.text, b.text), masks, batch, sizes, a.weights)


def build_dataset(host: Host, pictures: Sequence[Picture], prompts: Sequence[str], config: TrainingConfig, *,
                  live: bool = False, size: tuple[int, int] | None = None) -> LatentDataset | Buckets[LatentDataset]:
    """Encode every view of `pictures`, and `prompts` and captions: once, or as tokens when `live`.

    Masks are kept when every picture has them. All views are of `size` (width, height in pixels) when it is
    given, else as the settings say.
    """
    generator = torch.Generator().manual_seed(config.seed)
    multiple = host.downsampling * host.latent_multiple
    groups: dict[tuple[int, int], list[View]] = {}
    for picture in pictures:
        wanted = size or (host.resolution, host.resolution)
        if config.buckets and not config.squares and not size:
            wanted = bucket(picture.image.size, host.resolution, multiple)
        groups.setdefault(wanted, []).extend(views_of(
            picture, size=wanted, flip=config.flip, zoom=config.zoom, views=config.views, generator=generator))
    captions = list(dict.fromkeys(c for p in pictures for c in p.captions))
    tokens = host.text.tokenize([*prompts, *captions])
    text: Conditioning | Tokens = tokens
    if not live:
        with torch.no_grad():
            text = host.text.encode(tokens)
    often, weighty = len({p.repeats for p in pictures}) > 1, any(p.weight != 1 for p in pictures)
    parts = []
    for views in groups.values():
        chosen = None
        if captions:
            every = tuple(range(len(prompts)))
            chosen = tuple(tuple(len(prompts) + captions.index(c) for c in v.captions) or every for v in views)
        latents = encode_images(host, [v.image for v in views])
        masks = None
        if all(v.masks for v in views):
            grid = (latents.shape[-2], latents.shape[-1])
            masks = torch.stack([mask_grid(v.masks, grid, soft=config.soft_masks) for v in views]).to(latents.device)
        parts.append(LatentDataset(
            latents, text, masks, chosen, host.sizes([v.framing for v in views]),
            torch.tensor([float(v.repeats) for v in views]) if often else None,
            torch.tensor([float(v.weight) for v in views]).to(latents.device) if weighty else None))
    return parts[0] if len(parts) == 1 else Buckets(tuple(parts), tuple(p.share for p in parts))
