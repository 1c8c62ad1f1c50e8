"""GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004) from OpenCV, begun where the base looks for the noun.

Its colours draw the coarse attention to the thing's edge. The thresholds were chosen on assets/samples/development;
`python -m pipelines.mask_report` says what they give, beside a start from a centred rectangle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from pipelines.mask_sources import attention

_LIKELY, _NEVER = 0.5, 0.15  # of the attention's maximum: probably the thing, surely not
_FRAME = 0.05  # of the picture at each side is surely not the thing
_SIDE = 512  # pixels; larger pictures are cut at this size
_ROUNDS = 5


def opencv() -> Any:
    """OpenCV. Raises StudioError when it is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise StudioError("GrabCut needs OpenCV, which is not installed; choose another source of masks "
                          "(mask_source), or install it with: pip install \"opencv-python-headless<5\"") from error
    return cv2


def size_for(image: Image.Image) -> tuple[int, int]:
    """Width and height at which an image is cut: its own, at most _SIDE a side."""
    scale = min(_SIDE / max(image.size), 1)
    return max(round(image.width * scale), 1), max(round(image.height * scale), 1)


def grab(cv2: Any, image: Image.Image, seeds: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the thing is, [h, w] as `seeds`, which say of each pixel of the reduced image what OpenCV's GC_* mean."""
    if (seeds == cv2.GC_PR_FGD).any() or (seeds == cv2.GC_FGD).any():
        pixels = np.array(image.resize(seeds.shape[::-1], Image.Resampling.LANCZOS))[..., ::-1].copy()  # BGR
        cv2.setRNGSeed(0)  # its colour clusters begin by chance
        cv2.grabCut(pixels, seeds, None, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found: NDArray[np.bool_] = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return found


def as_mask(found: NDArray[np.bool_], size: tuple[int, int]) -> Image.Image:
    """A mask of 0 and 255 at `size` (width, height)."""
    mask = Image.fromarray(np.where(found, 255, 0).astype(np.uint8))
    return mask.resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 if value > 127 else 0)


class Source:
    """Hard masks of the colours that the attention's places have and the rest has not."""

    def __init__(self, host: Host, model: str = "") -> None:
        self.cv2 = opencv()
        self.attention = attention.Source(host)

    def masks(self, images: Sequence[Image.Image], noun: str) -> list[Image.Image]:
        """A mask of 0 and 255 of each image's size, empty where nothing is found."""
        likely = self.attention.masks(images, noun)
        return [self.cut(image, where) for image, where in zip(images, likely, strict=True)]

    def cut(self, image: Image.Image, likely: Image.Image) -> Image.Image:
        """The thing around the bright places of `likely`, a soft mask of the image's size."""
        cv2, size = self.cv2, size_for(image)
        share = np.asarray(likely.resize(size, Image.Resampling.BILINEAR)) / 255
        seeds = np.where(share > _LIKELY, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        seeds[share <= _NEVER] = cv2.GC_BGD
        left, top = (max(round(n * _FRAME), 1) for n in size)
        inside = np.zeros(share.shape, bool)
        inside[top:-top, left:-left] = True
        seeds[~inside] = cv2.GC_BGD
        if not (seeds == cv2.GC_PR_FGD).any():
            return Image.new("L", image.size)
        return as_mask(grab(cv2, image, seeds), image.size)
