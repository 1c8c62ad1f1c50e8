"""Contact sheets and plots of trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from pipelines.lab.asked import Ask
from pipelines.references import open_image

SIDE, GAP, LABEL, ACROSS = 112, 4, 24, 8


def grid(pictures: Sequence[Image.Image], captions: Sequence[str], path: Path, *, across: int = ACROSS,
         side: int = SIDE) -> None:
    """Pictures in rows of `across`, each under a caption of two lines at most."""
    rows = math.ceil(len(pictures) / across)
    sheet = Image.new("RGB", (across * (side + GAP) + GAP, rows * (side + LABEL + GAP) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for n, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = GAP + n % across * (side + GAP), GAP + n // across * (side + LABEL + GAP)
        for line, words in enumerate(_wrapped(caption, side // 5)[:2]):
            pen.text((x, y + 11 * line), words, fill="black", font_size=10)
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (x, y + LABEL))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)


def trial_sheet(references: Sequence[Path], images: Sequence[Image.Image], asks: Sequence[Ask], path: Path) -> None:
    """What was learned from, then every picture under its prompt."""
    shown = [open_image(r) for r in references][:ACROSS]
    blank = [Image.new("RGB", (8, 8), "white")] * (-len(shown) % ACROSS)
    grid([*shown, *blank, *images], ["learned from"] * len(shown) + [""] * len(blank) + [a.text for a in asks], path)
