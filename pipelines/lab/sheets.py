"""Contact sheets of trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pipelines.contact_sheet import ACROSS, grid
from pipelines.lab.asked import Ask
from pipelines.references import open_image


def trial_sheet(references: Sequence[Path], images: Sequence[Image.Image], asks: Sequence[Ask], path: Path) -> None:
    """What was learned from, then every picture under its prompt."""
    shown = [open_image(r) for r in references][:ACROSS]
    blank = [Image.new("RGB", (8, 8), "white")] * (-len(shown) % ACROSS)
    grid([*shown, *blank, *images], ["learned from"] * len(shown) + [""] * len(blank) + [a.text for a in asks], path)
