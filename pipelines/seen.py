"""What a loss sees of a picture: as large as it is learned, through the autoencoder, under its masks' own grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from adapters.host import Host
from adapters.naming import check_noun
from adapters.record import Concept
from pipelines.auto_masks import fill_in
from pipelines.dataset import Buckets, build_dataset
from pipelines.lesson import Lesson, Picture
from pipelines.methods.common import TrainingConfig

_DIM = 0.25  # of the brightness is left where the loss does not look


@torch.no_grad()
def seen(host: Host, picture: Image.Image, masks: Sequence[Image.Image], config: TrainingConfig,
         nouns: Sequence[str]) -> tuple[Image.Image, dict[str, Any]]:
    """The first view of an RGB picture in a training of these settings, grey and dim where the loss has no weight.

    `masks` are 8-bit and of the picture's size, one a concept or none; where the settings want them found, the concepts
    are looked for by their `nouns`. Also its `width` and `height`, the `grid` (columns, rows) on which masks count, the
    `share` of it that has weight, and whether they count `soft`ly. Raises StudioError as `fill_in` does.
    """
    config = config.model_copy(update={"views": 1, "flip": False})
    lesson = _lesson(host, Picture(picture.convert("RGB"), tuple(masks)), config, nouns)
    found = build_dataset(host, lesson.pictures, ["a photo"], config, live=True)
    data = found.parts[0] if isinstance(found, Buckets) else found
    pixels = ((host.decode(data.latents[:1])[0].float().clamp(-1, 1) + 1) / 2).permute(1, 2, 0).cpu().numpy()
    grid = data.latents.shape[-2:]
    weight = np.ones(grid, np.float32) if data.masks is None else data.masks[0].amax(0).cpu().numpy()
    large = weight.repeat(pixels.shape[0] // grid[0], 0).repeat(pixels.shape[1] // grid[1], 1)[..., None]
    grey = pixels.mean(-1, keepdims=True) * _DIM
    shown = Image.fromarray(((large * pixels + (1 - large) * grey) * 255).round().astype(np.uint8))
    return shown, {"width": shown.width, "height": shown.height, "grid": [grid[1], grid[0]],
                   "share": round(float(weight.mean()), 4), "soft": config.soft_masks, "masked": data.masks is not None}


def _lesson(host: Host, picture: Picture, config: TrainingConfig, nouns: Sequence[str]) -> Lesson:
    """The picture with the masks that its loss looks through."""
    found = config.masks == "auto" and not picture.masks
    concepts = tuple(Concept(name=n, noun=check_noun(n) if found else n, trigger=n) for n in nouns)
    return fill_in(host, Lesson((picture,), concepts), "none" if config.looks_everywhere else config.masks,
                   config.mask_source, config.mask_model)
