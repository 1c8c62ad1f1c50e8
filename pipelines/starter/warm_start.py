"""Going on from an older pipeline: its weights, with every word's row found by its spelling."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from adapters.errors import StudioError

TOKEN_ROWS = "embeddings.token_embedding.weight"


def map_rows(old_ids: dict[str, int], new_ids: dict[str, int], old_rows: torch.Tensor,
             new_rows: torch.Tensor) -> torch.Tensor:
    """`new_rows` [V', D] with the rows of `old_rows` [V, D] where both vocabularies have the token."""
    mapped = new_rows.clone()
    for token, new in new_ids.items():
        if (old := old_ids.get(token)) is not None:
            mapped[new] = old_rows[old]
    return mapped


def warm_start(folder: Path, unet: UNet2DConditionModel, text_encoder: CLIPTextModel,
               tokens: CLIPTokenizer) -> None:
    """Copy the weights of the pipeline in `folder`; tokens that it did not know keep their new rows.

    Raises StudioError when it is no pipeline of the same shapes.
    """
    try:
        old_unet = UNet2DConditionModel.from_pretrained(folder / "unet")
        old_text = CLIPTextModel.from_pretrained(folder / "text_encoder").float()
        old_tokens = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    except (OSError, ValueError) as error:
        raise StudioError(f"'start_from' should name a pipeline folder, but '{folder}' could not be read "
                          f"({str(error).splitlines()[0][:120]}); correct it, or leave it out.") from error
    state = old_text.state_dict()
    try:
        state[TOKEN_ROWS] = map_rows(old_tokens.get_vocab(), tokens.get_vocab(), state[TOKEN_ROWS],
                                     text_encoder.state_dict()[TOKEN_ROWS])
        unet.load_state_dict(old_unet.float().state_dict())
        text_encoder.load_state_dict(state)
    except RuntimeError as error:
        raise StudioError(f"'start_from' should have the shapes of this config, but '{folder}' has others; "
                          "change the widths under [diffusion], or leave it out.") from error
    known = len(set(old_tokens.get_vocab()) & set(tokens.get_vocab()))
    print(f"diffusion: goes on from {folder}; {known} of {len(tokens)} tokens known by spelling", flush=True)
