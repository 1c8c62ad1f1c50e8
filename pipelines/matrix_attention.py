"""Attention as two products of matrices, where a processor trains faster so than by the fused kernel."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0

from adapters.host import Host

FEW_KEYS = 256
"""Up to here the probabilities are small and the two products win; with 1,024 keys the fused kernel does."""


class MatrixAttention:
    """A processor for diffusers' attention: in a training and with few keys by matrices, else fused.

    The fused kernel for processors is slow in its backward under bf16, which took a quarter of a LoRA's step on the
    starter.
    """

    def __init__(self) -> None:
        self._matrices, self._fused = AttnProcessor(), AttnProcessor2_0()

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None = None,
                 attention_mask: torch.Tensor | None = None, temb: torch.Tensor | None = None) -> Any:
        """`hidden_states` [B, Q, D] over `encoder_hidden_states` [B, K, D'], or over themselves."""
        keys = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        few = keys.ndim == 3 and keys.shape[1] <= FEW_KEYS
        chosen = self._matrices if few and torch.is_grad_enabled() else self._fused
        return chosen(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


def attend_by_matrices(host: Host) -> None:
    """Have the denoiser train so: for bf16 on a processor, where it was measured to be faster."""
    host.unet.set_attn_processor(MatrixAttention())
