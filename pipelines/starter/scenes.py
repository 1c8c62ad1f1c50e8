"""Drawn backgrounds of the starter's world. Each drawer takes a generator and a side in pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Rng = np.random.Generator


def _vary(rng: Rng, colour: Colour, spread: int = 10) -> Colour:
    r, g, b = (int(np.clip(c + rng.integers(-spread, spread + 1), 0, 255)) for c in colour)
    return r, g, b


def _gradient(size: int, top: Colour, bottom: Colour) -> Image.Image:
    mix = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    rows = np.array(top, np.float32) * (1 - mix) + np.array(bottom, np.float32) * mix
    return Image.fromarray(np.broadcast_to(rows, (size, size, 3)).astype(np.uint8).copy())


def _ground(rng: Rng, size: int, sky: tuple[Colour, Colour], floor: Colour,
            horizon: float) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    image = _gradient(size, _vary(rng, sky[0]), _vary(rng, sky[1]))
    draw = ImageDraw.Draw(image)
    y = int(size * (horizon + rng.uniform(-0.04, 0.04)))
    draw.rectangle((0, y, size, size), fill=_vary(rng, floor))
    return image, draw, y


def _hill(draw: ImageDraw.ImageDraw, size: int, x: float, width: float, top: float, base: float,
          fill: Colour) -> None:
    draw.ellipse((size * (x - width / 2), size * top, size * (x + width / 2), size * (2 * base - top)),
                 fill=fill)


def beach(rng: Rng, size: int) -> Image.Image:
    image, draw, y = _ground(rng, size, ((110, 195, 235), (190, 228, 245)), (58, 140, 200), 0.45)
    shore = y + int(size * 0.14)
    draw.rectangle((0, shore, size, size), fill=_vary(rng, (238, 214, 150)))
    draw.rectangle((0, shore - size // 60, size, shore), fill=(235, 245, 250))
    return image


def snow(rng: Rng, size: int) -> Image.Image:
    image, draw, _ = _ground(rng, size, ((170, 190, 215), (205, 218, 232)), (248, 250, 254), 0.55)
    for _ in range(26):
        x, y, r = rng.uniform(0, size), rng.uniform(0, size), size * 0.009
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 255, 255))
    return image


def city(rng: Rng, size: int) -> Image.Image:
    image, draw, y = _ground(rng, size, ((165, 172, 190), (190, 195, 208)), (98, 98, 104), 0.62)
    x = 0.0
    while x < size:
        width = size * rng.uniform(0.1, 0.17)
        top = y - size * rng.uniform(0.2, 0.48)
        shade = int(rng.integers(95, 140))
        draw.rectangle((x, top, x + width, y), fill=(shade, shade, shade + 8))
        for wy in np.arange(top + size * 0.04, y - size * 0.05, size * 0.08):
            for wx in np.arange(x + size * 0.025, x + width - size * 0.03, size * 0.05):
                draw.rectangle((wx, wy, wx + size * 0.02, wy + size * 0.03), fill=(228, 216, 150))
        x += width
    draw.rectangle((0, y + (size - y) * 0.55, size, y + (size - y) * 0.62), fill=(215, 215, 205))
    return image


def forest(rng: Rng, size: int) -> Image.Image:
    image, draw, y = _ground(rng, size, ((120, 165, 130), (150, 185, 150)), (74, 106, 52), 0.6)
    for x in np.linspace(-0.02, 1.02, 8) + rng.uniform(-0.03, 0.03, 8):
        top = y - size * rng.uniform(0.38, 0.55)
        half = size * 0.1
        draw.rectangle((x * size - size * 0.015, y - size * 0.1, x * size + size * 0.015, y + 2),
                       fill=(88, 60, 38))
        fill = _vary(rng, (34, 96, 52), 12)
        draw.polygon([(x * size, top), (x * size - half, y - size * 0.06),
                      (x * size + half, y - size * 0.06)], fill=fill)
    return image


def desert(rng: Rng, size: int) -> Image.Image:
    image, draw, _ = _ground(rng, size, ((250, 190, 110), (252, 222, 160)), (216, 158, 84), 0.6)
    _hill(draw, size, rng.uniform(0.1, 0.4), 0.9, 0.5, 0.68, (226, 172, 98))
    _hill(draw, size, rng.uniform(0.7, 0.95), 0.8, 0.53, 0.72, (206, 148, 76))
    draw.rectangle((0, int(size * 0.72), size, size), fill=(216, 158, 84))
    return image


def night(rng: Rng, size: int) -> Image.Image:
    image, draw, y = _ground(rng, size, ((12, 12, 42), (28, 28, 70)), (36, 34, 60), 0.68)
    for _ in range(18):
        x, sy, r = rng.uniform(0, size), rng.uniform(0, y), size * 0.006
        draw.ellipse((x - r, sy - r, x + r, sy + r), fill=(240, 240, 220))
    x, r = size * rng.uniform(0.72, 0.88), size * 0.07
    draw.ellipse((x - r, size * 0.12 - r, x + r, size * 0.12 + r), fill=(246, 242, 206))
    return image


def sea(rng: Rng, size: int) -> Image.Image:
    image, draw, y = _ground(rng, size, ((140, 205, 245), (200, 230, 250)), (28, 92, 170), 0.5)
    for wy in np.arange(y + size * 0.07, size, size * 0.11):
        for wx in np.arange(rng.uniform(-0.15, 0) * size, size, size * 0.2):
            draw.arc((wx, wy, wx + size * 0.1, wy + size * 0.06), 180, 360, fill=(120, 180, 230),
                     width=max(size // 80, 1))
    return image


def meadow(rng: Rng, size: int) -> Image.Image:
    image, draw, _ = _ground(rng, size, ((120, 190, 250), (185, 222, 250)), (96, 176, 70), 0.56)
    x, y = size * rng.uniform(0.08, 0.3), size * rng.uniform(0.08, 0.18)
    for dx, r in ((0, 0.05), (0.07, 0.065), (0.14, 0.05)):
        cx, cr = x + dx * size, r * size
        draw.ellipse((cx - cr, y - cr * 0.8, cx + cr, y + cr * 0.8), fill=(252, 252, 255))
    return image


def room(rng: Rng, size: int) -> Image.Image:
    image, draw, _ = _ground(rng, size, ((232, 218, 196), (226, 210, 186)), (150, 102, 62), 0.66)
    x = size * rng.uniform(0.06, 0.14)
    draw.rectangle((x, size * 0.1, x + size * 0.24, size * 0.38), fill=(120, 82, 50))
    draw.rectangle((x + size * 0.02, size * 0.12, x + size * 0.22, size * 0.36), fill=(168, 214, 244))
    draw.rectangle((x + size * 0.11, size * 0.12, x + size * 0.13, size * 0.36), fill=(120, 82, 50))
    return image


def mountains(rng: Rng, size: int) -> Image.Image:
    image, draw, y = _ground(rng, size, ((130, 180, 230), (200, 220, 240)), (120, 140, 96), 0.66)
    for x, height in ((rng.uniform(0.1, 0.3), 0.42), (rng.uniform(0.68, 0.9), 0.5),
                      (rng.uniform(0.4, 0.6), 0.33)):
        top, half = y - size * height, size * height * 0.75
        draw.polygon([(x * size, top), (x * size - half, y), (x * size + half, y)],
                     fill=_vary(rng, (112, 116, 132), 8))
        cap = 0.28
        draw.polygon([(x * size, top), (x * size - half * cap, top + (y - top) * cap),
                      (x * size + half * cap, top + (y - top) * cap)], fill=(246, 248, 252))
    return image


def pink(rng: Rng, size: int) -> Image.Image:
    colour = _vary(rng, (250, 178, 200), 6)
    return _gradient(size, colour, colour)


def white(rng: Rng, size: int) -> Image.Image:
    return Image.new("RGB", (size, size), (252, 252, 252))


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


@dataclass(frozen=True)
class Scene:
    """A background: its name, how a caption says it, who draws it, where the floor is (0-1)."""

    name: str
    phrases: tuple[str, ...]
    draw: Callable[[Rng, int], Image.Image]


SCENES: dict[str, Scene] = {
    s.name: s
    for s in (
        Scene("beach", ("on the beach", "at the beach"), beach),
        Scene("snow", ("in the snow",), snow),
        Scene("city", ("in the city", "on a city street"), city),
        Scene("forest", ("in the forest", "in a forest"), forest),
        Scene("desert", ("in the desert",), desert),
        Scene("night", ("at night", "under the night sky"), night),
        Scene("sea", ("on the sea", "on the water"), sea),
        Scene("meadow", ("on the grass", "in a meadow"), meadow),
        Scene("room", ("in a room", "in the living room"), room),
        Scene("mountains", ("in the mountains", "with a mountain in the background"), mountains),
        Scene("pink", ("on a pink background", "on pink"), pink),
        Scene("white", ("on a white background", "on white"), white),
        Scene("space", ("in space", "in outer space"), space),
        Scene("underwater", ("underwater", "under the sea"), underwater),
        Scene("kitchen", ("in the kitchen", "in a kitchen"), kitchen),
        Scene("autumn", ("in autumn", "under autumn trees"), autumn),
    )
}
