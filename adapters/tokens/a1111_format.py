"""The embedding file of A1111, Forge and ComfyUI: exactly one tensor, `emb_params` [k, d].

The word is the file's own name there. Files by other programs call the tensor by the token instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from adapters.errors import StudioError
from adapters.tokens.vectors import check_vectors, one_encoder

KEY = "emb_params"
UNNAMED = frozenset({KEY, "*", "emb", "embedding"})
"""Names of the tensor that are no word."""


def encode(word: str, rows: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of the file for one word of one [k, d]."""
    return {KEY: one_encoder(rows, word, "an A1111 embedding file")}


def decode(tensors: Mapping[str, object], file: str) -> dict[str, tuple[torch.Tensor, ...]]:
    """The word ('' where the file names none) to its vectors; StudioError unless there is one tensor."""
    if len(tensors) != 1:
        raise StudioError(f"'{file}' should hold one tensor, as an A1111 embedding does, and holds {len(tensors)}; "
                          "choose an embedding file.")
    key, value = next(iter(tensors.items()))
    return {"" if key in UNNAMED else key: (check_vectors(value, key, file),)}
