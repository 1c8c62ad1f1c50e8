"""Whether a picture shows a face: Viola and Jones' cascade (CVPR 2001) as OpenCV 4 brings it. Imports no torch."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_SIDE = 480  # pixels of the longer side at which is looked
_SMALLEST = 0.12  # of the shorter side: smaller faces are in the background
_SURE = 8  # neighbouring windows that must agree


def faces(image: Image.Image) -> int | None:
    """How many faces from the front are seen; None where no detector is at hand."""
    cascade = _cascade()
    if cascade is None:
        return None
    small = image.convert("L")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    least = max(round(_SMALLEST * min(small.size)), 20)
    return len(cascade.detectMultiScale(np.asarray(small), 1.1, _SURE, minSize=(least, least)))


@cache
def _cascade() -> Any:
    """The cascade; None without OpenCV, or with one that has none (5.0 has not)."""
    try:
        import cv2
    except ImportError:
        return None
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    file = Path(folder) / "haarcascade_frontalface_alt2.xml"
    return cv2.CascadeClassifier(str(file)) if hasattr(cv2, "CascadeClassifier") and file.is_file() else None
