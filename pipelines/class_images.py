"""Class images for prior preservation: given by the person, or painted once per base and noun, then kept."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from PIL import Image

from adapters.errors import StudioError
from adapters.files import write_atomic
from adapters.host import Host
from pipelines.generator import Generator, Request
from pipelines.lesson import Report
from pipelines.references import list_folder, open_image
from pipelines.wording import with_article

_SEED = 90_000
_ATTEMPTS = 5


def given_class_images(folder: Path, count: int) -> list[Image.Image]:
    """The first `count` pictures of the run's own class images, none when it has no such folder."""
    return [open_image(p) for p in list_folder(folder)[:count]] if folder.is_dir() else []


def class_image_folder(host: Host, noun: str, cache: Path) -> Path:
    """Where the class images of a base and a noun are kept."""
    return cache / "class-images" / (host.identity.hash or "unknown") / re.sub(r"\W+", "-", noun)


def paint_class_images(host: Host, noun: str, count: int, cache: Path | None, report: Report) -> list[Image.Image]:
    """`count` pictures of 'a photo of a <noun>' from fixed seeds, those in `cache` not painted again."""
    folder = class_image_folder(host, noun, cache) if cache is not None else None
    images, painter = [], Generator(host)
    for n in range(count):
        path = folder / f"{n:04d}.png" if folder else None
        if path and path.exists():
            images.append(open_image(path))
            continue
        report({"type": "stage", "text": f"Painting pictures of the class '{noun}', {n + 1} of {count}"})
        image = _passed(painter, noun, _SEED + n)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, partial(image.save, format="PNG"))
        images.append(image)
    return images


def _passed(painter: Generator, noun: str, seed: int) -> Image.Image:
    """A picture of the class that the base's safety checker, where it has one, lets pass: a black one teaches black."""
    for attempt in range(_ATTEMPTS):
        painted = painter.paint(Request(prompt=f"a photo of {with_article(noun)}", seed=seed + attempt * _SEED))
        if painted.safety[0] != "withheld":
            return painted.images[0]
    raise StudioError(f"The base's safety checker withheld {_ATTEMPTS} pictures of '{noun}' in a row; give class "
                      "images of your own, or train without prior preservation.")
