"""The starter's training settings (`config.toml`)."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

CONFIG_PATH = Path(__file__).with_name("config.toml")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AutoencoderConfig(_Frozen):
    """AutoencoderKL: widths from full resolution down, one halving between neighbours."""

    channels: list[int]
    latent_channels: int
    steps: int
    batch: int
    learning_rate: float
    muon_rate: float
    kl_weight: float
    gradient_weight: float
    scenes: int


class DiffusionConfig(_Frozen):
    """UNet and text encoder, trained together with v-prediction and zero terminal SNR."""

    channels: list[int]
    text_width: int
    text_layers: int
    text_heads: int
    text_length: int
    scenes: int
    steps: int
    batch: int
    learning_rate: float
    muon_rate: float
    ema: float
    caption_dropout: float


class JudgeConfig(_Frozen):
    """The classifier that figures are taken with."""

    scenes: int
    steps: int
    batch: int
    learning_rate: float


class EmbedderConfig(_Frozen):
    """The image embedding that likeness is measured with."""

    steps: int
    batch: int
    learning_rate: float


class StarterConfig(_Frozen):
    """One edition of the starter."""

    edition: int
    seed: int
    size: int
    autoencoder: AutoencoderConfig
    diffusion: DiffusionConfig
    judge: JudgeConfig
    embedder: EmbedderConfig

    @classmethod
    def load(cls, path: Path = CONFIG_PATH) -> StarterConfig:
        """Read a TOML file; unknown or missing keys are errors."""
        return cls.model_validate(tomllib.loads(path.read_text("utf-8")))
