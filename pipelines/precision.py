"""What a training computes in on this machine, and what the frozen base is held in."""

from __future__ import annotations

from pathlib import Path

import torch

from adapters.errors import StudioError
from pipelines.frozen_base import AUTOCAST
from pipelines.methods.common import TrainingConfig


def pick_precision(wanted: str) -> str:
    """accelerate's word for the arithmetic: bf16 where the processor has it, else full precision."""
    if wanted == "auto":
        if torch.cuda.is_available():
            wanted = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
        else:
            has_bf16 = torch.backends.cpu.get_cpu_capability() == "AVX512" and _cpu_has_bf16()
            wanted = "bf16" if has_bf16 else "fp32"
    if wanted == "fp16" and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        raise StudioError("This machine has no graphics processor, which fp16 needs; choose the "
                          "precision auto, bf16 or fp32.")
    return "no" if wanted == "fp32" else wanted


def base_dtype(settings: TrainingConfig, mixed_precision: str) -> torch.dtype:
    """What the frozen base is held in: fp32, but where memory is short (quantize) the arithmetic's own type."""
    if settings.quantize == "none":
        return torch.float32
    return AUTOCAST.get(mixed_precision, torch.float32)


def _cpu_has_bf16() -> bool:
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
