"""A picture as the studio saves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.image_file import UsedAdapter, save_png

SETTINGS = {"prompt": "a cat", "negative_prompt": "", "steps": 3, "sampler": "DDIM", "guidance": 4.0, "seed": 7,
            "width": 48, "height": 40, "base": "starter"}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    save_png(Image.fromarray(pixels), tmp_path / "a.png", SETTINGS, [UsedAdapter("mycat", 0.8)])
    return tmp_path / "a.png"
