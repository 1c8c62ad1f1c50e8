"""What is asked of every learned word's vectors, whichever file they come from."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from adapters.errors import StudioError

MAX_VECTORS = 75  # what a prompt of 77 tokens has room for
MAX_WIDTH = 8192


def check_vectors(value: object, key: str, file: str) -> torch.Tensor:
    """`value` as fp32 [k, d] on the CPU, 1 <= k <= 75; a single vector [d] becomes [1, d].

    Raises StudioError unless it is a plain tensor of finite floating-point numbers of such a shape.
    """
    expected = f"'{file}' should hold a word's vectors as numbers of the shape [1 to {MAX_VECTORS}, width]"
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or value.is_meta:
        found = type(value).__name__ if not isinstance(value, torch.Tensor) else "a tensor of another layout"
        raise StudioError(f"{expected}, and '{key[:60]}' is {found}; choose an embedding file.")
    shape = tuple(value.shape)
    rows = shape if len(shape) == 2 else (1, *shape)
    if len(rows) != 2 or not 1 <= rows[0] <= MAX_VECTORS or not 1 <= rows[1] <= MAX_WIDTH:
        raise StudioError(f"{expected}, and '{key[:60]}' has the shape {list(shape)}; choose an embedding file.")
    if not value.is_floating_point():
        raise StudioError(f"{expected}, and '{key[:60]}' is of the type {value.dtype}; choose an embedding file.")
    vectors = value.detach().to("cpu", torch.float32).reshape(rows).clone()
    if not torch.isfinite(vectors).all():
        raise StudioError(f"{expected}, and '{key[:60]}' holds values that are not finite; take an earlier "
                          "checkpoint or a fresh copy.")
    return vectors


def one_encoder(rows: Iterable[torch.Tensor], word: str, form: str) -> torch.Tensor:
    """The only [k, d] of a word, or StudioError for a word of a base with several text encoders."""
    found = tuple(rows)
    if len(found) != 1:
        raise StudioError(f"'{word}' has vectors for {len(found)} text encoders and {form} holds those of one; "
                          "write the SDXL form.")
    return found[0]
