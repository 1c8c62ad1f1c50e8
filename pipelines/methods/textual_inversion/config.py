"""Settings of textual inversion. Imports no torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from pipelines.methods.common import TrainingConfig


class Config(TrainingConfig):
    """Textual inversion (Gal et al., arXiv 2208.01618)."""

    title: ClassVar[str] = "One new word, the smallest file"
    method: Literal["textual-inversion"] = "textual-inversion"
    vectors: int = Field(1, ge=1, le=32)
    """How many vectors the word has; more hold more and bend less to the rest of the prompt."""
    norm_prior: bool = False
    """Keep the vectors' length near the base's words (0.4 on CLIP)."""
    min_snr_gamma: float | None = Field(None, gt=0, title="Min-SNR gamma")
    """Weight of the noise levels; the paper weighs all alike."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    """Pull of the vectors towards zero; none in the paper."""

    @field_validator("norm_prior")
    @classmethod
    def _rate_that_is_known(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("optimizer") == "prodigy":
            raise ValueError("its pull goes by the learning rate, which Prodigy finds itself; leave it out, or take "
                             "another optimizer")
        return value

    @property
    def learns_words(self) -> bool:
        """Always."""
        return True
