"""Which base an adapter belongs to. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Family = Literal["sd1", "starter", "sd2", "sdxl"]


class BaseIdentity(BaseModel):
    """Which base an adapter belongs to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family
    """Architecture: adapters fit every base of their family, and no other."""
    name: str
    """What the person called it: 'starter', a file or folder name, a hub id."""
    hash: str
    """First 16 hex digits of a SHA-256 over the UNet's weights, or '' when unknown."""


FAMILY_TITLES: dict[str, str] = {"sd1": "Stable Diffusion 1.x", "starter": "the starter",
                                 "sd2": "Stable Diffusion 2.x", "sdxl": "Stable Diffusion XL"}
