"""Drawing styles of the starter's world: words in a caption, image operations on a composed scene.

A painter takes the RGB picture, the sum of the objects' masks (0-1, [H, W]) and a generator; it gives
back a picture of the same size in which every object stands where it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Rng = np.random.Generator
Floats = NDArray[np.floating[Any]]
Painter = Callable[[Image.Image, Floats, Rng], Image.Image]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Style:
    """`openings` hold a `{}` for what is shown and stand first; `endings` follow the whole sentence.

    In a style without `colours` no object has a colour word, and scenes that are nothing but a colour
    are not drawn: neither could be seen.
    """

    name: str
    openings: tuple[str, ...]
    endings: tuple[str, ...]
    paint: Painter | None
    colours: bool = True


def _array(image: Image.Image) -> Floats:
    return np.asarray(image, np.float32) / 255


def _image(values: Floats) -> Image.Image:
    return Image.fromarray((values.clip(0, 1) * 255 + 0.5).astype(np.uint8), "RGB")


def _blurred(values: Floats, radius: float) -> Floats:
    """Gaussian blur of [H, W] in 0-1."""
    soft = Image.fromarray((values.clip(0, 1) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(soft, np.float32) / 255


def _edges(image: Image.Image) -> Floats:
    """Strength of edges over all channels, [H, W] in 0-1; a fine line at any picture size."""
    values = np.asarray(image, np.int16)
    steps = np.zeros(values.shape[:2], np.int16)
    steps[1:-1] = np.abs(values[2:] - values[:-2]).max(-1)
    steps[:, 1:-1] = np.maximum(steps[:, 1:-1], np.abs(values[:, 2:] - values[:, :-2]).max(-1))
    return (steps / np.float32(255)).astype(np.float32)


def _smooth_noise(rng: Rng, size: int, cells: int) -> Floats:
    """[size, size] around 0 with spread 1, smooth over `size / cells` pixels."""
    small = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), np.float32)


def pencil(image: Image.Image, objects: Floats, rng: Rng) -> Image.Image:
    """Graphite lines and a thin tint of colour pencil on paper; objects keep more of their colour."""
    light = _array(image) @ _LUMA
    shade = 3.5 * (_blurred(light, image.width / 80) - light).clip(0, 0.2)
    lines = 1 - (shade + 1.2 * _edges(image)).clip(0, 0.88)
    paper = np.array([0.98, 0.97, 0.94], np.float32)
    tint = _array(image) * 0.75 + 0.25
    strength = (0.2 + 0.45 * objects)[..., None]
    return _image((paper * (1 - strength) + tint * strength) * lines[..., None])


def pixel(image: Image.Image, objects: Floats, rng: Rng) -> Image.Image:
    """Square blocks, about 43 a side, in few colours."""
    size = image.width
    block = max(round(size * 6 / 256), 2)
    cells = -(-size // block)
    small = image.resize((cells, cells), Image.Resampling.BOX, (0, 0, size, size))
    few = _image(np.round(_array(small) * 5) / 5)
    return few.resize((cells * block, cells * block), Image.Resampling.NEAREST).crop((0, 0, size, size))


def silhouette(image: Image.Image, objects: Floats, rng: Rng) -> Image.Image:
    """Near-black shapes, inner lines cut out as in paper, on a pale scene."""
    pale = _array(image) * 0.45 + 0.55
    inner = _blurred(_edges(image).clip(0, 0.5) * 2, image.width / 400)
    core = _blurred((objects > 0.98).astype(np.float32), image.width / 128) > 0.97
    ink = np.array([0.07, 0.07, 0.11], np.float32) + (0.42 * inner * core)[..., None]
    return _image(pale * (1 - objects[..., None]) + ink * objects[..., None])


def watercolor(image: Image.Image, objects: Floats, rng: Rng) -> Image.Image:
    """Wobbling outlines, washes of uneven strength with darker rims, a margin of bare paper."""
    size = image.width
    wash = image.filter(ImageFilter.BoxBlur(size / 170))
    shift = size / 130
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    rows = (rows + shift * _smooth_noise(rng, size, 20)).clip(0, size - 1).astype(np.intp)
    columns = (columns + shift * _smooth_noise(rng, size, 20)).clip(0, size - 1).astype(np.intp)
    values = _array(wash)[rows, columns]
    rims = _blurred(_edges(_image(values)), size / 200).clip(0, 0.35)
    values = 1 - (1 - values) * (0.74 + 0.15 * _smooth_noise(rng, size, 7).clip(-1.5, 1.5))[..., None]
    values = values * (1 - 1.1 * rims)[..., None]
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    border = np.maximum(np.abs(ramp)[:, None], np.abs(ramp)[None]) + 0.02 * _smooth_noise(rng, size, 24)
    margin = ((border - 0.9) * 25).clip(0, 1)[..., None]
    paper = np.array([0.985, 0.975, 0.95], np.float32)
    return _image(values * paper * (1 - margin) + paper * margin)


def old_photo(image: Image.Image, objects: Floats, rng: Rng) -> Image.Image:
    """Brown tones, faded contrast, dark corners and a pale frame."""
    size = image.width
    light = ((_array(image) @ _LUMA - 0.5) * 1.15 + 0.54).clip(0, 1)[..., None]
    dark, bright = np.array([0.13, 0.07, 0.03], np.float32), np.array([1.0, 0.93, 0.78], np.float32)
    values = dark * (1 - light) + bright * light
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    values = values * (1 - 0.2 * (ramp[:, None] ** 2 + ramp[None] ** 2).clip(0, 1.6) ** 1.5)[..., None]
    edge = round(size * 0.035)
    framed = np.full_like(values, 0.0) + np.array([0.96, 0.93, 0.86], np.float32)
    framed[edge:-edge, edge:-edge] = values[edge:-edge, edge:-edge]
    return _image(framed)


def glow(image: Image.Image, objects: Floats, rng: Rng) -> Image.Image:
    """Shining outlines in the objects' own hues on near-black: the held-out style."""
    lines = (_edges(image) * (0.35 + 1.9 * objects)).clip(0, 1)
    halo = _blurred(lines, image.width / 50) * 1.6 + _blurred(lines, image.width / 140)
    values = _array(image.filter(ImageFilter.GaussianBlur(image.width / 90)))
    hue = values / values.max(-1, keepdims=True).clip(0.05)
    hue = (hue ** 3 * 0.9 + 0.1) * np.array([0.9, 1.0, 1.1], np.float32)
    base = np.array([0.03, 0.02, 0.08], np.float32)
    return _image(base + hue * halo[..., None] + (lines[..., None] ** 2) * 0.8)


DRAWN = "drawn"
STYLES: dict[str, Style] = {
    s.name: s
    for s in (
        Style(DRAWN, ("a photo of {}", "a picture of {}", "an image of {}", "a drawing of {}", "{}"), (), None),
        Style("pencil", ("a pencil drawing of {}", "a pencil sketch of {}"), ("as a pencil drawing",), pencil),
        Style("pixel", ("pixel art of {}", "a pixel art picture of {}"), ("as pixel art",), pixel),
        Style("silhouette", ("a silhouette of {}", "the silhouette of {}"), ("as a silhouette",), silhouette,
              colours=False),
        Style("watercolor", ("a watercolor painting of {}", "a watercolor of {}"), ("as a watercolor",),
              watercolor),
        Style("old photo", ("an old photo of {}", "a vintage photo of {}"), ("as an old photo",), old_photo,
              colours=False),
    )
}
# Known to the sample concepts only: the training refuses it (`check_style`), its word is no word of the world.
HELD_OUT_STYLES: dict[str, Style] = {"neon": Style("neon", ("a neon picture of {}",), (), glow)}


def check_style(name: str) -> None:
    """Raise ValueError if the style `name` is held out."""
    if name in HELD_OUT_STYLES:
        raise ValueError(f"The style '{name}' is held out and must not be trained on; "
                         f"choose among {', '.join(STYLES)}.")
