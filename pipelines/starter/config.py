"""The starter's training settings (`config.toml`)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.errors import StudioError

CONFIG_PATH = Path(__file__).with_name("config.toml")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AutoencoderConfig(_Frozen):
    """AutoencoderKL: widths from full resolution down, one halving between neighbours.

    With `match_from` (a pipeline folder) the new encoder is pulled towards that pipeline's latents by
    `match_weight`, and takes over its weights where they fit. `photo_share` of each batch are photos,
    where there are any.
    """

    channels: list[int]
    latent_channels: int
    steps: int
    batch: int
    learning_rate: float
    muon_rate: float
    kl_weight: float
    gradient_weight: float
    scenes: int
    photo_share: float = 0.0
    match_from: str | None = None
    match_weight: float = 0.0


class DiffusionConfig(_Frozen):
    """UNet and text encoder, trained together with v-prediction and zero terminal SNR.

    With `start_from` (a pipeline folder) both begin with its weights, words by their spelling.
    `object_weight` is what the loss counts for where objects stand, beside 1 elsewhere. `timestep_shift`
    above 1 draws more of the noisier timesteps (Esser et al., arXiv 2403.03206, equation 23). Before step
    `close_up_until` most steps are parts of scenes: `close_up_batch` of `close_ups` close-ups of single
    objects, a quarter of a scene's cost each with all that a class looks like, or half as many pairs.
    """

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
    object_weight: float = 1.0
    timestep_shift: float = 1.0
    close_ups: int = 0
    close_up_batch: int = 0
    close_up_until: int = 0
    start_from: str | None = None


class PairConfig(_Frozen):
    """The image tower that is tuned to the finished text tower.

    A batch has pictures of `groups` scenes, each picture moved by up to `shift` pixels.
    """

    image_size: int
    patch: int
    width: int
    layers: int
    heads: int
    projection: int
    scenes: int
    steps: int
    batch: int
    groups: int
    shift: int
    learning_rate: float
    muon_rate: float


class JudgeConfig(_Frozen):
    """The classifier that figures are taken with."""

    scenes: int
    steps: int
    batch: int
    learning_rate: float


class EmbedderConfig(_Frozen):
    """The image embedding that likeness is measured with; it learns from `views` pictures of each glyph."""

    views: int
    steps: int
    batch: int
    learning_rate: float


class StarterConfig(_Frozen):
    """All stages; `edition` counts the starters that have shipped, `size` is in pixels."""

    edition: int
    seed: int
    size: int
    autoencoder: AutoencoderConfig
    diffusion: DiffusionConfig
    pair: PairConfig
    judge: JudgeConfig
    embedder: EmbedderConfig

    @property
    def latent_side(self) -> int:
        """Side of the latents of a picture of `size` pixels."""
        return self.size >> (len(self.autoencoder.channels) - 1)

    @classmethod
    def load(cls, path: Path = CONFIG_PATH, *over: Path) -> StarterConfig:
        """Read TOML files, those in `over` laid over the one at `path` in turn, table by table.

        Raises StudioError when one cannot be read, or has a key too many or too few.
        """
        merged: dict[str, Any] = {}
        try:
            for each in (path, *over):
                for key, value in tomllib.loads(each.read_text("utf-8")).items():
                    merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
            return cls.model_validate(merged)
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise StudioError(f"The training config should be a TOML file, but it could not be read ({error}); "
                              "give another with --config.") from error
        except ValidationError as error:
            first = error.errors()[0]
            raise StudioError(f"The training config is not valid at '{'.'.join(map(str, first['loc']))}' "
                              f"({first['msg']}); correct it after the shipped config.toml.") from error
