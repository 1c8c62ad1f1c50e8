"""The pictures of `docs/screens` anew: `make screens`, after the browser tests have left theirs in `test-artifacts`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from pipelines.shipped import REPOSITORY

SCREENS = REPOSITORY / "docs" / "screens"
SHOTS = {"concepts": "concepts", "masks": "masks", "create": "create", "library": "library", "training": "training",
         "trained": "trained", "phone": "phone", "system": "system-dark"}
"""By the name in `docs/screens`, which of the shots it is."""


def small(shot: Path) -> bytes:
    """The shot as a PNG of 256 colours, about a third of its bytes."""
    with Image.open(shot) as picture:
        few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    kept = io.BytesIO()
    few.save(kept, "png", optimize=True)
    return kept.getvalue()


def refresh(shots: Path, screens: Path) -> list[str]:
    """Take over what is there; a sentence for each screen."""
    said = []
    for name, shot in SHOTS.items():
        if not (shots / f"{shot}.png").is_file():
            said.append(f"{name}: there is no {shot}.png, it stays as it is")
            continue
        data = small(shots / f"{shot}.png")
        (screens / f"{name}.png").write_bytes(data)
        said.append(f"{name}: {len(data) / 1000:.0f} kB")
    return said


if __name__ == "__main__":
    sys.stdout.write("\n".join(refresh(REPOSITORY / "test-artifacts", SCREENS)) + "\n")
