"""What a training will most likely take, reckoned from its settings before anything runs. Imports no torch.

`preflight.py` measures it. The counts of SIZES are exact (`tests/pipelines/test_estimate.py` holds them against the
networks); the rest is what was seen on the starter and carried over by arithmetic.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from adapters.identity import FAMILIES, Family
from pipelines.methods.common import TrainingConfig
from pipelines.methods.lora.config import Config as Lora


@dataclass(frozen=True)
class Size:
    """Of a family's networks."""

    denoiser: int
    """Parameters."""
    text: int
    """Parameters of all text encoders."""
    flops: float
    """Of one denoising of one picture of the family's size."""
    kept: int
    """Numbers that are kept of it for the way back."""
    lora: Mapping[str, int]
    """Parameters for each rank, by the LoRA's `layers`."""
    lora_text: int
    """Those of the text encoders."""
    values: int
    """Outputs of the keys' and values' layers in all cross-attention."""
    width: int
    """Of a word's vector."""


def _lora(attention: int, feed_forward: int, all: int) -> dict[str, int]:
    return {"attention": attention, "attention+feed-forward": feed_forward, "all": all}


SIZES: dict[Family, Size] = {
    "starter": Size(13_647_908, 1_166_592, 3.9e9, 16_000_000, _lora(20_608, 43_648, 86_656), 3_072, 2_560, 192),
    "sd1": Size(859_520_964, 123_060_480, 8.0e11, 1_500_000_000, _lora(199_296, 423_936, 948_096), 73_728, 24_960, 768),
    "sd2": Size(865_910_724, 340_387_840, 8.0e11, 1_500_000_000, _lora(207_488, 432_128, 956_288), 188_416, 24_960,
                1024),
    "sdxl": Size(2_567_463_684, 817_720_320, 6.8e12, 7_500_000_000, _lora(1_451_520, 2_659_840, 3_009_920), 401_408,
                 166_400, 2048),
}
_PACES = {"lora": 0.098, "textual-inversion": 0.056, "perfusion": 0.062, "break-a-scene": 0.19}
"""Seconds of a step for each picture, on the starter and two cores (docs/benchmarks.md); another method's: a LoRA's."""
_PICTURE_PASSES = 2 * 1.1  # denoisings of a step with guidance, and the decoding's share
_PASS = 0.036  # seconds of one denoising on the starter and two cores
_CARD = 1.5e13  # operations a second that a graphics card does of these networks, a guess
_PROGRAM = 650_000_000  # bytes of Python with its libraries
_HEADER = 5_000  # bytes of a file beside its tensors
_PREVIEWED = 2  # prompts of a preview


@dataclass(frozen=True)
class Estimate:
    """Seconds from a run's start to its file, and bytes of memory and of that file; `like` is a training here whose
    pace it goes by, or empty."""

    seconds: float
    peak_bytes: int
    file_bytes: int
    like: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with all of it in a sentence."""
        why = (f"as '{self.like}' went here" if self.like
               else "a rough guess, since nothing like it was trained on this machine yet")
        says = (f"Estimated: about {as_time(self.seconds)} ({why}); {as_size(self.peak_bytes)} of memory, a file of "
                f"{as_size(self.file_bytes)}.")
        return {**asdict(self), "says": says}


def as_time(seconds: float) -> str:
    """A duration for a sentence."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def as_size(count: int) -> str:
    """Bytes for a sentence."""
    unit, name = next((u, n) for u, n in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "bytes")) if count >= u or u == 1)
    return f"{count / unit:.1f} {name}" if unit > 1 else f"{count} bytes"


def estimate(settings: TrainingConfig, family: Family, pace: float | None = None, like: str = "") -> Estimate:
    """Reckon a training up. `pace` is seconds of a step for each picture, from the training `like` on this machine."""
    size = SIZES[family]
    single = _PASS * _slower(family)  # seconds of a denoising
    pace = pace or _PACES.get(settings.method, _PACES["lora"]) * _slower(family)
    images = settings.steps * settings.batch * settings.accumulate
    steps = FAMILIES[family].steps
    painted = min(settings.prior_images, settings.steps * settings.batch) if settings.prior_weight else 0
    previews = 1 + -(-settings.steps // settings.preview_every) if settings.preview_every else 0
    seconds = (5 + 4 * (size.denoiser + size.text) / 5e8 + images * pace + painted * steps * single * _PICTURE_PASSES
               + previews * _PREVIEWED * settings.preview_steps * single * _PICTURE_PASSES)
    trained, file = _adapter(settings, size)
    held = {"none": 4.0, "8bit": 1.0, "4bit": 0.5}[settings.quantize]
    kept = size.kept * settings.batch * (4 if settings.precision == "fp32" else 2)
    peak = (_PROGRAM + held * size.denoiser + 4 * size.text + 16 * trained
            + kept / (4 if settings.gradient_checkpointing else 1))
    return Estimate(round(seconds, 1), int(peak), file, like)


def _slower(family: Family) -> float:
    """How many times longer a denoising takes here than on the starter and two cores."""
    if shutil.which("nvidia-smi"):
        return SIZES[family].flops / _CARD / _PASS
    return SIZES[family].flops / SIZES["starter"].flops * 2 / min(os.cpu_count() or 2, 16)


def _adapter(settings: TrainingConfig, size: Size) -> tuple[int, int]:
    """Numbers that are trained, and bytes of the file."""
    given = settings.model_dump()
    words = given.get("vectors", 1) * size.width if settings.learns_words else 0
    if settings.method == "perfusion":
        return words + size.values, 4 * (words + size.values) + _HEADER
    if given.get("tuning") == "full":
        whole = size.denoiser + size.text
        return whole, 2 * whole + _HEADER
    if isinstance(settings, Lora):
        rank = settings.rank * (size.lora[settings.layers] + size.lora_text * settings.text_encoder)
    elif settings.method == "break-a-scene":
        rank = given["rank"] * (size.lora["all"] + size.lora_text)
    else:
        rank = 0
    return words + rank, 4 * (words + rank) + _HEADER
