"""Drawn backgrounds: those of the first edition and four more. Each drawer takes a generator and a side in pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from pipelines.starter.scenes import SCENES as FIRST
from pipelines.starter.scenes import Rng, Scene, _gradient, _ground, _vary


def space(rng: Rng, size: int) -> Image.Image:
    image = _gradient(size, _vary(rng, (22, 10, 48)), _vary(rng, (62, 22, 88)))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y, r = rng.uniform(0, size), rng.uniform(0, size), size * rng.uniform(0.003, 0.007)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(235, 225, 255))
    x, y, r = size * rng.uniform(0.1, 0.2), size * rng.uniform(0.1, 0.18), size * 0.085
    draw.ellipse((x - r, y - r, x + r, y + r), fill=_vary(rng, (226, 140, 84)))
    draw.arc((x - 1.8 * r, y - 0.5 * r, x + 1.8 * r, y + 0.5 * r), -20, 200, fill=(240, 214, 160),
             width=max(size // 64, 1))
    x, r = size * rng.uniform(0.84, 0.94), size * 0.05
    y = size * rng.uniform(0.84, 0.92)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=_vary(rng, (110, 190, 200)))
    return image


def underwater(rng: Rng, size: int) -> Image.Image:
    image = _gradient(size, _vary(rng, (70, 200, 205)), _vary(rng, (8, 70, 110)))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, size * 0.88, size, size), fill=_vary(rng, (196, 180, 120)))
    for x in (*(rng.uniform(0.02, 0.22, 3)), *(rng.uniform(0.78, 0.98, 3))):
        top, sway = rng.uniform(0.45, 0.65), rng.uniform(0.012, 0.02)
        heights = np.linspace(0.9, top, 12)
        line = [((x + sway * np.sin(n * 1.1)) * size, h * size) for n, h in enumerate(heights)]
        draw.line(line, fill=_vary(rng, (30, 140, 70), 15), width=max(size // 45, 1), joint="curve")
    for _ in range(12):
        x, y, r = rng.uniform(0, size), rng.uniform(0, size * 0.8), size * rng.uniform(0.008, 0.018)
        draw.ellipse((x - r, y - r, x + r, y + r), outline=(215, 245, 250), width=max(size // 128, 1))
    return image


def kitchen(rng: Rng, size: int) -> Image.Image:
    image = Image.new("RGB", (size, size), _vary(rng, (226, 240, 236), 6))
    draw = ImageDraw.Draw(image)
    tile, shift = size / 8, rng.uniform(0, size / 8)
    for n in range(9):
        draw.line((shift + n * tile - tile, 0, shift + n * tile - tile, size), fill=(150, 190, 184),
                  width=max(size // 100, 1))
        draw.line((0, n * tile, size, n * tile), fill=(150, 190, 184), width=max(size // 100, 1))
    y = int(size * rng.uniform(0.66, 0.72))
    draw.rectangle((0, y, size, size), fill=_vary(rng, (96, 148, 150)))
    draw.rectangle((0, y, size, y + size * 0.05), fill=(120, 84, 60))
    for x in (0.03, 0.36, 0.69):
        draw.rectangle((x * size, y + size * 0.09, (x + 0.28) * size, size * 1.1),
                       outline=(60, 104, 108), width=max(size // 80, 1))
        draw.rectangle(((x + 0.1) * size, y + size * 0.12, (x + 0.18) * size, y + size * 0.135),
                       fill=(235, 235, 225))
    return image


def autumn(rng: Rng, size: int) -> Image.Image:
    image, draw, y = _ground(rng, size, ((246, 222, 170), (250, 236, 204)), (170, 104, 44), 0.62)
    for x in np.linspace(0.0, 1.0, 6) + rng.uniform(-0.04, 0.04, 6):
        middle, r = y - size * rng.uniform(0.2, 0.32), size * rng.uniform(0.08, 0.115)
        draw.rectangle((x * size - size * 0.014, middle, x * size + size * 0.014, y + 3), fill=(92, 58, 38))
        fill = _vary(rng, ((206, 74, 30), (226, 132, 30), (184, 48, 34))[int(rng.integers(3))])
        draw.ellipse((x * size - r, middle - r * 1.2, x * size + r, middle + r), fill=fill)
    for _ in range(22):
        x, sy, r = rng.uniform(0, size), rng.uniform(y + size * 0.03, size), size * 0.012
        draw.ellipse((x - r, sy - r * 0.6, x + r, sy + r * 0.6), fill=_vary(rng, (226, 140, 40), 20))
    return image


SCENES: dict[str, Scene] = FIRST | {
    s.name: s
    for s in (
        Scene("space", ("in space", "in outer space"), space),
        Scene("underwater", ("underwater", "under the sea"), underwater),
        Scene("kitchen", ("in the kitchen", "in a kitchen"), kitchen),
        Scene("autumn", ("in autumn", "under autumn trees"), autumn),
    )
}
