"""Settings of Perfusion. Imports no torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from pipelines.methods.common import Quantize, TrainingConfig


class Config(TrainingConfig):
    """Perfusion, key-locked rank-one editing (Tewel et al., SIGGRAPH 2023, arXiv 2305.01644)."""

    title: ClassVar[str] = "One thing in 100 KB, with dials for how strongly it shows"
    method: Literal["perfusion"] = "perfusion"
    word_rate: float = Field(0.006, gt=0, le=1)
    """Learning rate of the word's vector."""
    bias: float = Field(0.75, ge=0, le=1.5)
    """From which share of the concept in a token the edit sets in (beta)."""
    temperature: float = Field(0.1, gt=0, le=2)
    """How softly it sets in (tau)."""
    ridge: float = Field(0.0, ge=0, le=1)
    """Added to the text statistics, in parts of their mean eigenvalue; small text encoders need it."""
    captions: int = Field(4000, ge=100, le=200_000)
    """From how many captions the text statistics are taken, once per text encoder."""
    key_locking: bool = True
    """Keys stay those of the class word; off learns them too (the paper's ablation)."""
    mask_normalise: Literal["area", "all"] = "area"
    """Whether the masked loss is a mean over the subject or over the whole picture."""
    min_snr_gamma: float | None = Field(None, gt=0, title="Min-SNR gamma")
    """Weight of the noise levels; the paper weighs all alike."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    """None in the paper."""
    masks: Literal["auto", "given", "none"] = "auto"
    """Where the loss looks: masks found automatically when none are given, given ones only, or none."""

    @field_validator("quantize")
    @classmethod
    def _whole_base(cls, value: Quantize) -> Quantize:
        if value != "none":
            raise ValueError("Perfusion's edit is computed from the base's own keys and values, which must be whole; "
                             "set it to none")
        return value

    @property
    def learns_words(self) -> bool:
        """Always."""
        return True
