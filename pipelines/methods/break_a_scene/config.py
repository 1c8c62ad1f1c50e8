"""Settings of Break-A-Scene. Imports no torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from pipelines.methods.common import Schedule, TrainingConfig


class Config(TrainingConfig):
    """Break-A-Scene (Avrahami et al., SIGGRAPH Asia 2023, arXiv 2305.16311)."""

    title: ClassVar[str] = "Several things from one masked picture"
    several: ClassVar[bool] = True
    needs_masks: ClassVar[bool] = True
    soft_masks: ClassVar[bool] = False
    squares: ClassVar[bool] = True
    method: Literal["break-a-scene"] = "break-a-scene"
    tuning: Literal["lora", "full"] = "lora"
    """What is tuned in the second phase: a small LoRA, or all weights as in the paper (large file)."""
    rank: int = Field(16, ge=1, le=512)
    """Size of the LoRA."""
    word_rate: float = Field(5e-4, gt=0, le=1)
    """Learning rate of the words in the first phase."""
    word_share: float = Field(0.5, ge=0, le=1)
    """Part of the steps that the first phase takes; the paper's is a half."""
    attention_weight: float = Field(0.01, ge=0)
    """Weight of the loss that ties each word's attention to its mask; 0 is off."""
    masks: Literal["auto", "given"] = "given"
    """Masks are given, or found automatically by each concept's noun where none are."""
    masked_loss: bool = True
    """Look only inside the masks."""
    union_sampling: bool = True
    """Each step draws some of the concepts together; off always draws all."""
    background: bool = False
    """Learn what no mask covers as one more concept, '<background>'."""
    attention_resolution: int = Field(0, ge=0, le=64)
    """Side of the attention maps that are tied; 0 takes the base's (16, on SDXL 32)."""
    schedule: Schedule = "constant"
    """How the learning rate falls over each phase."""
    flip: bool = True
    """Also learn from the mirrored picture."""
    prior_weight: float = Field(1.0, ge=0, le=10)
    """Weight of class images painted by the base, in the second phase."""
    min_snr_gamma: float | None = Field(None, gt=0, title="Min-SNR gamma")
    """Weight of the noise levels; the paper weighs all alike."""

    @field_validator("tuning")
    @classmethod
    def _weights_that_can_be_learned(cls, value: str, info: ValidationInfo) -> str:
        if value == "full" and info.data.get("quantize", "none") != "none":
            raise ValueError("full tuning learns the base's own weights, which a quantized base does not have whole; "
                             "take lora, or set quantize to none")
        return value

    @property
    def looks_everywhere(self) -> bool:
        """Without the masked loss, or where what no mask covers is a concept of its own."""
        return self.background or not self.masked_loss

    @property
    def learns_words(self) -> bool:
        """Always."""
        return True
