"""Pictures as other vision models want them, and masks back from tensors."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

Colour = tuple[float, float, float]
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def normalised(image: Image.Image, mean: Colour = _MEAN, deviation: Colour = _DEVIATION) -> torch.Tensor:
    """An RGB image as [1, 3, H, W] with `mean` and `deviation` taken out, ImageNet's where no others are given."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    middle, spread = (torch.tensor(x).view(1, 3, 1, 1) for x in (mean, deviation))
    return (pixels - middle) / spread


def from_unit(values: torch.Tensor) -> Image.Image:
    """An 8-bit mask of values [H, W] in 0-1."""
    return Image.fromarray((values * 255).round().byte().cpu().numpy())
