"""What a person asks a picture to be. Imports no torch."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from pipelines.samplers import SAMPLERS, SCHEDULES


class Request(BaseModel):
    """What to paint."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    prompt: str = Field(max_length=4000)
    """What to show, with A1111's weights: (x:1.3), [x], \\( and BREAK."""
    negative_prompt: str = Field("", max_length=4000)
    """What to keep away from."""
    seed: int = Field(0, ge=0, lt=2**53)
    """Where chance starts; picture n of a batch has seed + n."""
    steps: int | None = Field(None, ge=1, le=500)
    """Denoising steps; none takes the base's default."""
    guidance: float | None = Field(None, ge=1, le=50)
    """How strongly the prompt pulls (classifier-free guidance); 1 is not at all."""
    images: int = Field(1, ge=1, le=64)
    """How many pictures."""
    width: int | None = Field(None, ge=64, le=4096)
    """Pixels; none takes the base's size."""
    height: int | None = Field(None, ge=64, le=4096)
    """Pixels; none takes the base's size."""
    sampler: str | None = None
    """How the steps are taken, by A1111's names; none takes the base's own."""
    schedule: str | None = None
    """How noise levels are spread over the steps; none takes the sampler's own."""
    strength: float | None = Field(None, gt=0, le=1)
    """How much of a given picture is painted anew: the share of the steps that is done; 1 is all of them."""
    upscale: float | None = Field(None, gt=1, le=4)
    """A second pass over the picture, enlarged by so much; none paints once."""
    upscale_strength: float = Field(0.5, gt=0, le=1)
    """The share of the steps that the second pass does."""
    private: bool = False
    """Keep the prompts out of the picture's file, which then tells everything else; nobody finds them by search."""

    @field_validator("sampler", "schedule")
    @classmethod
    def _known(cls, value: Any, about: ValidationInfo) -> Any:
        names = SAMPLERS if about.field_name == "sampler" else SCHEDULES
        if value is not None and value not in names:
            raise ValueError(f"choose one of {', '.join(names)}")
        return value
