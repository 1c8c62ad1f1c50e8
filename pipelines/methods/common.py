"""Settings that every method has, and presets as overlays on them. Imports no torch."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.errors import StudioError
from adapters.identity import FAMILY_TITLES
from pipelines.methods import config_class
from pipelines.shipped import PRESETS

PRESET_NAMES = ("fast", "balanced", "best")
MEMORY = ("8", "12", "24")
"""Graphics memory in GB that there are tables for."""

OptimizerName = Literal["adamw", "adamw8bit", "adafactor", "prodigy"]
Schedule = Literal["constant", "cosine", "cosine_with_restarts", "linear"]
Quantize = Literal["none", "8bit", "4bit"]
PACKAGES: dict[str, str] = {"adamw8bit": "bitsandbytes", "prodigy": "prodigyopt"}
"""What an optimizer needs beyond requirements.txt."""


class TrainingConfig(BaseModel):
    """The settings of a training run. Attribute docstrings are shown as tooltips."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    title: ClassVar[str]
    """What it is good for, in plain words."""
    several: ClassVar[bool] = False
    """Whether it learns several concepts at once."""
    needs_masks: ClassVar[bool] = False
    """Whether it cannot do without a mask for each concept."""
    soft_masks: ClassVar[bool] = True
    """Whether a mask's grey values count, or only what is white."""
    squares: ClassVar[bool] = False
    """Whether it needs all pictures in one shape, whatever 'buckets' says."""

    method: str
    steps: int = Field(ge=1, le=100_000)
    """How many times the adapter is corrected; more learns longer."""
    batch: int = Field(4, ge=1, le=64)
    """Pictures per step."""
    accumulate: int = Field(1, ge=1, le=64)
    """Batches whose gradients are added up before one correction; a larger batch for less memory."""
    learning_rate: float = Field(gt=0, le=1)
    """How far each correction goes."""
    optimizer: OptimizerName = "adamw"
    """What makes the corrections: AdamW; the same in a quarter of its memory; Adafactor, with less still; or Prodigy,
    which finds the learning rate itself in its first 100 steps or so (yours is then a factor of it, 1 where you give
    none)."""
    schedule: Schedule = "cosine"
    """How the learning rate falls over the run; with restarts it falls and springs back 'cycles' times."""
    cycles: int = Field(3, ge=1, le=100)
    """How many times the rate falls; only with cosine_with_restarts."""
    warmup: int = Field(0, ge=0)
    """Steps over which the learning rate rises from zero."""
    weight_decay: float = Field(0.01, ge=0, le=1)
    """Pull of all trained numbers towards zero."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Corrections longer than this are shortened."""
    ema: float | None = Field(None, gt=0, lt=1, title="EMA")
    """Save a running average of what is learned, calmer than its last state: its decay, such as 0.99; none saves the
    last state."""
    min_snr_gamma: float | None = Field(5.0, gt=0, title="Min-SNR gamma")
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
    quantize: Quantize = "none"
    """Hold the base's denoiser in fewer bits while an adapter is learned beside it, for less memory; needs an NVIDIA
    card (untested on one so far)."""
    preview_every: int = Field(50, ge=0)
    """Steps between previews; 0 makes none."""
    preview_steps: int = Field(15, ge=1, le=200)
    """Denoising steps of a preview picture."""
    checkpoint_every: int = Field(50, ge=1)
    """Steps between checkpoints; at most so many are lost in a crash."""

    @property
    def looks_everywhere(self) -> bool:
        """Whether the loss looks beside the masks too, where there are some."""
        return False

    @property
    def learns_words(self) -> bool:
        """Whether triggers are learned words ('<mycat>') and not rare words of the base."""
        return False

    @property
    def packages(self) -> dict[str, str]:
        """The packages beyond requirements.txt that these settings need everywhere, each with what wants it.

        (A quantized base first of all needs a graphics card, so it is looked at when the base is loaded.)
        """
        package = PACKAGES.get(self.optimizer)
        return {package: f"The optimizer '{self.optimizer}'"} if package else {}


def resolve(method: str, family: str, preset: str = "balanced", memory: str | None = None,
            **overrides: Any) -> TrainingConfig:
    """The method's settings from `assets/presets/<method>.toml`.

    The preset's table, then the family's table of the same preset, then the table of `memory` (GB of the graphics
    card, one of MEMORY), then `overrides` that are not None, each over the one before. With Prodigy, whose rates are
    factors, rates that are not among the overrides are the learning rate given there, or 1.
    """
    settings = config_class(method)
    tables = tomllib.loads((PRESETS / f"{method}.toml").read_text("utf-8"))
    if preset not in PRESET_NAMES:
        raise StudioError(f"There is no preset '{preset}'; choose one of: {', '.join(PRESET_NAMES)}.")
    values = {"method": method, **tables[preset], **tables.get(family, {}).get(preset, {})}
    if memory:
        values = _fitted(values, settings, memory_table(tables, method, family, memory, preset))
    given = {k: v for k, v in overrides.items() if v is not None}
    if given.get("optimizer") == "prodigy":
        factor = given.get("learning_rate", 1.0)
        values |= {name: factor for name in settings.model_fields if name.endswith("_rate")}
    values |= given
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        raise settings_error(error) from error


def memory_table(tables: Mapping[str, Any], method: str, family: str, memory: str, preset: str) -> dict[str, Any]:
    """What to change so that a method should fit `memory` GB.

    `[memory.<GB>]` or, where the family has such tables, `[<family>.memory.<GB>]` in their place; a preset's own table
    inside it comes on top. Raises StudioError when there is none: for other sizes, and where it cannot fit.
    """
    if memory not in MEMORY:
        raise StudioError(f"There are no settings for {memory} GB of graphics memory; choose one of: "
                          f"{', '.join(MEMORY)}, the next below what the card has.")
    sizes: dict[str, Any] = tables.get(family, {}).get("memory", tables["memory"])
    if memory not in sizes:
        title = FAMILY_TITLES.get(family, family)
        raise StudioError(f"'{method}' on {title} does not fit {memory} GB of graphics memory; choose another method "
                          f"or base, or a card of {min(map(int, sizes))} GB.")
    table: dict[str, Any] = sizes[memory]
    return {k: v for k, v in table.items() if k not in PRESET_NAMES} | dict(table.get(preset, {}))


def _fitted(values: Mapping[str, Any], settings: type[TrainingConfig], table: Mapping[str, Any]) -> dict[str, Any]:
    """`table` over `values`. Its 'batch' is the most at a time; 'accumulate' makes up for what is cut off."""
    batch, accumulate = (int(values.get(n, settings.model_fields[n].default)) for n in ("batch", "accumulate"))
    most = min(batch, int(table.get("batch", batch)))
    return {**values, **table, "batch": most, "accumulate": math.ceil(batch * accumulate / most)}


def settings_error(error: ValidationError) -> StudioError:
    """The first fault of a settings table as a sentence."""
    first = error.errors()[0]
    where = ".".join(str(p) for p in first["loc"]) or "settings"
    found = str(first.get("input"))[:60]
    if first["type"] == "value_error":  # ours, and says itself what to do
        return StudioError(f"'{where}' cannot be {found}: {first['ctx']['error']}.")
    return StudioError(f"'{where}' cannot be {found}: {first['msg'].lower()}; choose another value.")
