"""SAM (Kirillov et al., ICCV 2023, arXiv 2304.02643), prompted with where the base looks for the noun."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from transformers import SamModel

from adapters.host import Host
from pipelines.helpers import SAM
from pipelines.mask_sources import attention
from pipelines.mask_sources.pixels import from_unit, normalised
from pipelines.mask_sources.weights import open_weights

DEFAULT = SAM
_MAP = 128  # pixels a side at which the attention is searched


class Source:
    """Hard masks of what lies at the attention's maximum, in the box around what is half as strong."""

    def __init__(self, host: Host, model: str = "") -> None:
        self.model = open_weights(SamModel, model, DEFAULT).to(host.device)
        self.attention = attention.Source(host)

    def masks(self, images: Sequence[Image.Image], noun: str) -> list[Image.Image]:
        """A mask of 0 and 255 of each image's size."""
        likely = self.attention.masks(images, noun)
        found = []
        for image, where in zip(images, likely, strict=True):
            box, point = prompts(where)
            found.append(segment(self.model, image, box, [(*point, True)]))
        return found


@torch.no_grad()
def segment(model: SamModel, image: Image.Image, box: tuple[float, ...] | None,
            clicks: Sequence[tuple[float, float, bool]]) -> Image.Image:
    """A mask of 0 and 255 of the image's size, of what `box` (left, top, right, bottom) or `clicks` (x, y, whether on
    the thing) mean, all in pixels of the image.
    """
    side, device = int(model.config.vision_config.image_size), model.device
    scale = side / max(image.size)
    width, height = (max(round(n * scale), 1) for n in image.size)
    pixels = normalised(image.resize((width, height), Image.Resampling.BILINEAR))
    pixels = F.pad(pixels, (0, side - width, 0, side - height))
    # A single click can mean a thing or a part of it, so the best of three answers is taken; else one is asked for.
    doubtful = box is None and len(clicks) == 1
    points = torch.tensor([[[c[:2] for c in clicks]]], device=device).float() * scale if clicks else None
    labels = torch.tensor([[[int(c[2]) for c in clicks]]], device=device) if clicks else None
    said = model(pixel_values=pixels.to(device), multimask_output=doubtful, input_points=points, input_labels=labels,
                 input_boxes=torch.tensor([[box]], device=device) * scale if box else None)
    best = int(said.iou_scores[0, 0].argmax()) if doubtful else 0
    low = said.pred_masks[:, 0, best:best + 1].float()
    whole = F.interpolate(low, (side, side), mode="bilinear", align_corners=False)[..., :height, :width]
    logits = F.interpolate(whole, image.size[::-1], mode="bilinear", align_corners=False)[0, 0]
    return from_unit((logits > 0).float())


def prompts(likely: Image.Image) -> tuple[tuple[float, float, float, float], tuple[float, float]]:
    """Box and point in pixels of a soft mask: its maximum, and around it what is connected and half as strong."""
    small = likely.resize((_MAP, _MAP), Image.Resampling.BILINEAR)
    values = np.asarray(small)
    y, x = np.unravel_index(int(values.argmax()), values.shape)
    region = Image.fromarray(np.where(values >= values.max() / 2, 255, 0).astype(np.uint8)).copy()  # a writable one
    ImageDraw.floodfill(region, (int(x), int(y)), 128)
    rows, columns = np.nonzero(np.asarray(region) == 128)
    across, down = likely.width / _MAP, likely.height / _MAP
    return ((float(columns.min() * across), float(rows.min() * down), float((columns.max() + 1) * across),
             float((rows.max() + 1) * down)), (float((x + 0.5) * across), float((y + 0.5) * down)))
