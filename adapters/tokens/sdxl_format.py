"""The SDXL embedding file of kohya, A1111 and ComfyUI: `clip_l` [k, 768] and `clip_g` [k, 1280].

diffusers' loader refuses it as a file; there each tensor goes to its own text encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from adapters.errors import StudioError
from adapters.tokens.vectors import check_vectors

KEYS = ("clip_l", "clip_g")
WIDTHS = (768, 1280)


def encode(word: str, rows: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of the file for one word of a [k, 768] and a [k, 1280]."""
    if len(rows) != len(KEYS):
        raise StudioError(f"'{word}' has vectors for {len(rows)} text encoder and the SDXL form holds those of two; "
                          "write another form.")
    return dict(zip(KEYS, rows, strict=True))


def recognise(keys: set[str]) -> bool:
    """Whether these tensor names are of this format, or of a half of it."""
    return bool(keys) and keys <= set(KEYS)


def decode(tensors: Mapping[str, object], file: str) -> dict[str, tuple[torch.Tensor, ...]]:
    """'' (the file names no word) to the vectors for both text encoders, k alike in both."""
    if set(tensors) != set(KEYS):
        raise StudioError(f"'{file}' should hold '{KEYS[0]}' and '{KEYS[1]}', as an SDXL embedding does, and holds "
                          f"'{', '.join(sorted(tensors))[:60]}'; take a fresh copy.")
    rows = tuple(check_vectors(tensors[key], key, file) for key in KEYS)
    if len({len(r) for r in rows}) != 1 or tuple(r.shape[1] for r in rows) != WIDTHS:
        raise StudioError(f"'{file}' should hold vectors of widths {list(WIDTHS)}, as many of each, and holds "
                          f"{[list(r.shape) for r in rows]}; take a fresh copy.")
    return {"": rows}
