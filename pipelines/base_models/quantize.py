"""A base's denoiser in fewer bits, for learning an adapter beside it with little memory (QLoRA).

Untested on a graphics card so far: on a CPU the same code loads and trains in the tests, where the check for a card
is lifted.
"""

from __future__ import annotations

import torch
from diffusers.quantizers.quantization_config import BitsAndBytesConfig

from adapters.errors import StudioError
from pipelines.extras import require
from pipelines.methods.common import Quantize


def check_quantize(wanted: Quantize) -> None:
    """Raise StudioError unless an NVIDIA card and bitsandbytes are here."""
    if not torch.cuda.is_available():
        raise StudioError(f"A base in {wanted} needs an NVIDIA graphics card, and this machine has none that PyTorch "
                          "can use; set quantize to none.")
    require("bitsandbytes", f"The base in {wanted} (quantize)")


def quantization(wanted: Quantize, dtype: torch.dtype) -> BitsAndBytesConfig:
    """How bitsandbytes is to hold the linear layers; all else of the denoiser stays in `dtype`.

    4bit: NormalFloat with quantized scales, computed in `dtype` (Dettmers et al., QLoRA, arXiv 2305.14314). 8bit:
    LLM.int8() (Dettmers et al., arXiv 2208.07339). Convolutions are not quantized.
    """
    if wanted == "4bit":
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                  bnb_4bit_compute_dtype=dtype)
    return BitsAndBytesConfig(load_in_8bit=True)
