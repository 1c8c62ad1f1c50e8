"""Settings of LoRA training. Imports no torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from pipelines.methods.common import TrainingConfig


class Config(TrainingConfig):
    """LoRA, low-rank adaptation (Hu et al., arXiv 2106.09685), with PEFT's layers."""

    title: ClassVar[str] = "One thing or style, in a file that every program reads"
    method: Literal["lora"] = "lora"
    rank: int = Field(16, ge=1, le=512)
    """Size of the update; a larger rank holds more and makes a larger file."""
    alpha: float = Field(16.0, gt=0)
    """The update is scaled by alpha / rank."""
    rslora: bool = Field(False, title="rsLoRA")
    """Scale by alpha / sqrt(rank) instead (Kalajdzievski, arXiv 2312.03732)."""
    dora: bool = Field(False, title="DoRA")
    """Learn the weights' direction and length apart (Liu et al., arXiv 2402.09353)."""
    layers: Literal["attention", "attention+feed-forward", "all"] = "attention"
    """Which layers are adapted: attention alone, its feed-forward too, or convolutions as well."""
    text_encoder: bool = False
    """Adapt the text encoder's attention too."""
    word: bool = False
    """Also learn a word for the concept, fixed after half of the run (pivotal tuning)."""
    word_rate: float = Field(1e-3, gt=0, le=1)
    """Learning rate of the word's vectors."""

    @field_validator("dora")
    @classmethod
    def _lengths_that_can_be_read(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("quantize", "none") != "none":
            raise ValueError("DoRA reads the length of the base's weights, which a quantized base does not have whole; "
                             "set quantize to none")
        return value

    @property
    def learns_words(self) -> bool:
        """With pivotal tuning."""
        return self.word
