"""Pictures side by side, each under its caption."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from pipelines.image_file import save_sheet

SIDE, GAP, LABEL, ACROSS = 112, 4, 24, 8
MAX_SIDE = 8192  # of a sheet


def grid(pictures: Sequence[Image.Image], captions: Sequence[str], path: Path, *, across: int = ACROSS,
         side: int = SIDE, files: Sequence[Path] = ()) -> None:
    """Pictures in rows of `across`, each under a caption of two lines at most.

    With `files`, which the pictures are from, the sheet is a PNG that says what made them (see `save_sheet`).
    """
    rows = math.ceil(len(pictures) / across)
    sheet = Image.new("RGB", (across * (side + GAP) + GAP, rows * (side + LABEL + GAP) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for n, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = GAP + n % across * (side + GAP), GAP + n // across * (side + LABEL + GAP)
        for line, words in enumerate(textwrap.wrap(caption, side // 5)[:2]):
            pen.text((x, y + 11 * line), words, fill="black", font_size=10)
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (x, y + LABEL))
    if files:
        save_sheet(sheet, path, files)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, optimize=True, quality=40)  # a PNG has no quality


def labelled(files: Sequence[Path], columns: Sequence[str], rows: Sequence[str]) -> Image.Image:
    """Pictures, row by row, under their columns' labels and beside their rows'; at most MAX_SIDE pixels a side.

    All cells have the first picture's shape.
    """
    with Image.open(files[0]) as first:
        shrink = min(1.0, MAX_SIDE / (first.width * len(columns)), MAX_SIDE / (first.height * len(rows)))
        width, height = max(round(first.width * shrink), 1), max(round(first.height * shrink), 1)
    size = max(10, min(width // 9, 28))
    left, top = (round(size * 5.5) if any(rows) else 0), (round(size * 2.8) if any(columns) else 0)
    sheet = Image.new("RGB", (left + len(columns) * (width + GAP) + GAP, top + len(rows) * (height + GAP) + GAP),
                      "white")
    pen = ImageDraw.Draw(sheet)

    def write(text: str, x: int, y: int, room: int) -> None:
        for line, words in enumerate(textwrap.wrap(text, max(room // (size // 2 + 1), 4))[:2]):
            pen.text((x, y + round(1.2 * size * line)), words, fill="black", font_size=size)

    for n, text in enumerate(columns):
        write(text, left + GAP + n * (width + GAP), GAP, width)
    for n, text in enumerate(rows):
        write(text, GAP, top + GAP + n * (height + GAP) + height // 2 - size, left)
    for n, file in enumerate(files):
        with Image.open(file) as picture:
            shown = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        row, column = divmod(n, len(columns))
        sheet.paste(shown, (left + GAP + column * (width + GAP), top + GAP + row * (height + GAP)))
    return sheet
