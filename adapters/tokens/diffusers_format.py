"""The diffusers embedding file: `{token: [k, d]}`, as `load_textual_inversion` reads it.

Its loader takes files of one token only. It looks for the token in a prompt that the tokenizer has put
into lower case, and finds further vectors of a word in mixed case never; so tokens are written in lower
case, which is the same word to the studio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from adapters.errors import StudioError
from adapters.tokens.vectors import check_vectors, one_encoder


def encode(word: str, rows: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of the file for one word of one [k, d]."""
    return {word.lower(): one_encoder(rows, word, "a diffusers embedding file")}


def decode(tensors: Mapping[str, object], file: str) -> dict[str, tuple[torch.Tensor, ...]]:
    """Word to its vectors, for any number of words; StudioError for anything that is no embedding."""
    if not tensors:
        raise StudioError(f"'{file}' should hold a word's vectors and holds nothing; choose an embedding file.")
    return {token: (check_vectors(value, token, file),) for token, value in tensors.items()}
