"""Settings that every method has, and presets as overlays on them. Imports no torch."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.errors import StudioError
from pipelines.methods import config_class

PRESETS = Path(__file__).resolve().parents[2] / "assets" / "presets"
PRESET_NAMES = ("fast", "balanced", "best")


class TrainingConfig(BaseModel):
    """The settings of a training run. Attribute docstrings are shown as tooltips."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    title: ClassVar[str]
    """What it is good for, in plain words."""
    several: ClassVar[bool] = False
    """Whether it learns several concepts at once."""
    needs_masks: ClassVar[bool] = False
    """Whether it cannot do without a mask for each concept."""

    method: str
    steps: int = Field(ge=1, le=100_000)
    """How many times the adapter is corrected; more learns longer."""
    batch: int = Field(4, ge=1, le=64)
    """Pictures per step."""
    accumulate: int = Field(1, ge=1, le=64)
    """Batches whose gradients are added up before one correction; a larger batch for less memory."""
    learning_rate: float = Field(gt=0, le=1)
    """How far each correction goes."""
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    """How the learning rate falls over the run."""
    warmup: int = Field(0, ge=0)
    """Steps over which the learning rate rises from zero."""
    weight_decay: float = Field(0.01, ge=0, le=1)
    """Pull of all trained numbers towards zero."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Corrections longer than this are shortened."""
    min_snr_gamma: float | None = Field(5.0, gt=0)
    """Weight of the noise levels (Hang et al., arXiv 2303.09556); none weighs all alike."""
    flip: bool = False
    """Also learn from mirrored pictures; off for things with a left and a right."""
    zoom: float = Field(1.0, gt=0.3, le=1)
    """Smallest part of a picture's side that a random crop keeps; 1 keeps the whole picture."""
    views: int = Field(1, ge=1, le=32)
    """Crops of each picture that are prepared; only with zoom below 1."""
    buckets: bool = True
    """Keep each picture's shape (aspect-ratio buckets); off crops all to squares."""
    masks: Literal["auto", "given", "none"] = "given"
    """Where the loss looks: masks found automatically when none are given, given ones only, or none."""
    mask_source: Literal["attention", "grabcut", "clipseg", "sam"] = "attention"
    """What finds automatic masks: the base's attention, GrabCut (needs OpenCV), CLIPSeg or SAM (need their weights)."""
    mask_model: str = Field("", max_length=400)
    """Folder or hub id of CLIPSeg's or SAM's weights; empty takes CIDAS/clipseg-rd64-refined, facebook/sam-vit-base."""
    prior_weight: float = Field(0.0, ge=0, le=10)
    """Weight of class images painted by the base, which keep it from forgetting the class; 0 is off."""
    prior_images: int = Field(60, ge=1, le=1000)
    """At most so many class images; never more than the run can look at."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Where chance starts: the same seed on the same machine gives the same adapter."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the base model; auto takes bf16 where the processor has it."""
    gradient_checkpointing: bool = False
    """Less memory for more time."""
    preview_every: int = Field(50, ge=0)
    """Steps between previews; 0 makes none."""
    preview_steps: int = Field(15, ge=1, le=200)
    """Denoising steps of a preview picture."""
    checkpoint_every: int = Field(50, ge=1)
    """Steps between checkpoints; at most so many are lost in a crash."""


    @property
    def learns_words(self) -> bool:
        """Whether triggers are learned words ('<mycat>') and not rare words of the base."""
        return False


def resolve(method: str, family: str, preset: str = "balanced",
            **overrides: Any) -> TrainingConfig:
    """The method's settings from `assets/presets/<method>.toml`.

    The preset's table, then the family's table of the same preset, then `overrides` that are not
    None, each over the one before.
    """
    settings = config_class(method)
    tables = tomllib.loads((PRESETS / f"{method}.toml").read_text("utf-8"))
    if preset not in PRESET_NAMES:
        raise StudioError(f"There is no preset '{preset}'; choose one of: {', '.join(PRESET_NAMES)}.")
    values = {"method": method, **tables[preset], **tables.get(family, {}).get(preset, {})}
    values |= {k: v for k, v in overrides.items() if v is not None}
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        raise settings_error(error) from error


def settings_error(error: ValidationError) -> StudioError:
    """The first fault of a settings table as a sentence."""
    first = error.errors()[0]
    where = ".".join(str(p) for p in first["loc"]) or "settings"
    found = str(first.get("input"))[:60]
    return StudioError(f"'{where}' cannot be {found}: {first['msg'].lower()}; choose another value.")
