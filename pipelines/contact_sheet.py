"""Pictures side by side, each under its caption."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

SIDE, GAP, LABEL, ACROSS = 112, 4, 24, 8


def grid(pictures: Sequence[Image.Image], captions: Sequence[str], path: Path, *, across: int = ACROSS,
         side: int = SIDE) -> None:
    """Pictures in rows of `across`, each under a caption of two lines at most."""
    rows = math.ceil(len(pictures) / across)
    sheet = Image.new("RGB", (across * (side + GAP) + GAP, rows * (side + LABEL + GAP) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for n, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = GAP + n % across * (side + GAP), GAP + n // across * (side + LABEL + GAP)
        for line, words in enumerate(textwrap.wrap(caption, side // 5)[:2]):
            pen.text((x, y + 11 * line), words, fill="black", font_size=10)
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (x, y + LABEL))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)
