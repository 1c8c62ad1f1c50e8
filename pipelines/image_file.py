"""Pictures that carry what made them: A1111's text chunk, and the studio's JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from adapters.files import write_atomic

VERSION = "Semblance-0.1"


def parameters(settings: Mapping[str, Any], adapters: Sequence[tuple[str, float]]) -> str:
    """The `parameters` text that A1111, ComfyUI, InvokeAI and Civitai read."""
    tags = "".join(f" <lora:{name}:{strength:g}>" for name, strength in adapters)
    lines = [f"{settings['prompt']}{tags}"]
    if settings["negative_prompt"]:
        lines.append(f"Negative prompt: {settings['negative_prompt']}")
    lines.append(
        f"Steps: {settings['steps']}, Sampler: {settings['sampler']}, "
        f"CFG scale: {settings['guidance']:g}, Seed: {settings['seed']}, "
        f"Size: {settings['width']}x{settings['height']}, Model: {json.dumps(settings['base'])}, "
        f"Version: {VERSION}"
    )
    return "\n".join(lines)


def save_png(image: Image.Image, path: Path, settings: Mapping[str, Any],
             adapters: Sequence[tuple[str, float]]) -> None:
    """Write a PNG atomically with both text chunks."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("parameters", parameters(settings, adapters))
    chunks.add_itxt("semblance", json.dumps({**settings, "adapters": [list(a) for a in adapters]}))
    write_atomic(path, lambda p: image.save(p, "PNG", pnginfo=chunks))
