"""GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004) from OpenCV, begun where the base looks for the noun.

Its colours draw the coarse attention to the thing's edge. The thresholds were chosen on assets/samples/development;
`python -m pipelines.mask_report` says what they give, beside a start from a centred rectangle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from pipelines.mask_sources import attention

_LIKELY, _NEVER = 0.5, 0.15  # of the attention's maximum: probably the thing, surely not
_FRAME = 0.05  # of the picture at each side is surely not the thing
_SIDE = 512  # pixels; larger pictures are cut at this size
_ROUNDS = 5


class Source:
    """Hard masks of the colours that the attention's places have and the rest has not."""

    def __init__(self, host: Host, model: str = "") -> None:
        try:
            import cv2
        except ImportError as error:
            raise StudioError("GrabCut needs OpenCV, which is not installed; run 'pip install opencv-python-headless', "
                              "or choose another mask_source.") from error
        self.cv2: Any = cv2
        self.attention = attention.Source(host)

    def masks(self, images: Sequence[Image.Image], noun: str) -> list[Image.Image]:
        """A mask of 0 and 255 of each image's size, empty where nothing is found."""
        likely = self.attention.masks(images, noun)
        return [self.cut(image, where) for image, where in zip(images, likely, strict=True)]

    def cut(self, image: Image.Image, likely: Image.Image) -> Image.Image:
        """The thing around the bright places of `likely`, a soft mask of the image's size."""
        cv2, scale = self.cv2, min(_SIDE / max(image.size), 1)
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        share = np.asarray(likely.resize(size, Image.Resampling.BILINEAR)) / 255
        seeds = np.where(share > _LIKELY, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        seeds[share <= _NEVER] = cv2.GC_BGD
        left, top = (max(round(n * _FRAME), 1) for n in size)
        inside = np.zeros(share.shape, bool)
        inside[top:-top, left:-left] = True
        seeds[~inside] = cv2.GC_BGD
        if (seeds == cv2.GC_PR_FGD).any():
            pixels = np.array(image.resize(size, Image.Resampling.LANCZOS))[..., ::-1].copy()  # BGR
            cv2.setRNGSeed(0)  # its colour clusters begin by chance
            cv2.grabCut(pixels, seeds, None, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
        found = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD))
        mask = Image.fromarray(np.where(found, 255, 0).astype(np.uint8))
        return mask.resize(image.size, Image.Resampling.BILINEAR).point(lambda value: 255 if value > 127 else 0)
