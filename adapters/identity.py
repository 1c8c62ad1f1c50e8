"""Which base an adapter belongs to, and all that differs between families of bases. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

Family = Literal["sd1", "starter", "sd2", "sdxl"]
Prediction = Literal["epsilon", "v_prediction"]


class BaseIdentity(BaseModel):
    """Which base an adapter belongs to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family
    """Architecture: adapters fit every base of their family, and no other."""
    name: str
    """What the person called it: 'starter', a file or folder name, a hub id."""
    hash: str
    """First 16 hex digits of a SHA-256 over the UNet's weights, or '' when unknown."""
    prediction: Prediction = "epsilon"
    """What the denoiser was trained to say: the noise, or the velocity (Salimans and Ho, arXiv 2202.00512)."""


def _both(epsilon: str, velocity: str | None = None) -> dict[str, str]:
    return {"epsilon": epsilon, "v_prediction": velocity or epsilon}


@dataclass(frozen=True)
class FamilyFacts:
    """What the rest of the code asks of a family, so that nothing asks which one it is."""

    title: str
    versions: Mapping[str, str]
    """`ss_base_model_version` by prediction, as sd-scripts writes it and A1111 filters by."""
    architectures: Mapping[str, str]
    """ModelSpec's architecture by prediction."""
    a1111: str
    """A1111's 'sd version' in a LoRA's sidecar."""
    resolutions: Mapping[str, str] = field(default_factory=dict)
    """ModelSpec's resolution by prediction."""
    steps: int = 30
    """Denoising steps where none are asked for."""
    guidance: float = 7.5
    attention: int = 16
    """Side of the cross-attention maps on which words are best told apart."""
    large: bool = False
    """SDXL's conditioning (Podell et al., arXiv 2307.01952): two text encoders' last but one states, the second
    one's pooled projection, picture sizes; kohya files with the original's block names."""
    full_autoencoder: bool = False
    """The autoencoder overflows in half precision, unless its configuration says that it was mended."""
    v2: bool = False
    """What sd-scripts calls v2."""
    licence: str = "other"
    """The hub's word for the licence of the family's published weights."""
    tags: tuple[str, ...] = ()
    """What diffusers' own training scripts tag a model card of the family with."""
    text_prefixes: Mapping[str, str] = field(default_factory=lambda: {"text_encoder": "lora_te_"})
    """kohya's beginnings of the text encoders' layers."""


_SD = ("stable-diffusion", "stable-diffusion-diffusers")
FAMILIES: dict[Family, FamilyFacts] = {
    "starter": FamilyFacts("the starter", _both("semblance_starter"), _both("semblance-starter"), "Other",
                           steps=20, guidance=4.0, licence="apache-2.0"),
    "sd1": FamilyFacts("Stable Diffusion 1.x", _both("sd_v1", "sd_v1_v"), _both("stable-diffusion-v1"), "SD1",
                       _both("512x512"), licence="creativeml-openrail-m", tags=_SD),
    "sd2": FamilyFacts("Stable Diffusion 2.x", _both("sd_v2", "sd_v2_v"),
                       _both("stable-diffusion-v2-512", "stable-diffusion-v2-768-v"), "SD2",
                       _both("512x512", "768x768"), v2=True, licence="openrail++", tags=_SD),
    "sdxl": FamilyFacts("Stable Diffusion XL", _both("sdxl_base_v1-0"), _both("stable-diffusion-xl-v1-base"), "SDXL",
                        _both("1024x1024"), guidance=6.0, attention=32, large=True, full_autoencoder=True,
                        licence="openrail++", tags=("stable-diffusion-xl", "stable-diffusion-xl-diffusers"),
                        text_prefixes={"text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}),
}
FAMILY_TITLES: dict[str, str] = {family: facts.title for family, facts in FAMILIES.items()}


def family_hint(metadata: Mapping[str, str]) -> Family | None:
    """The family that a foreign file's metadata names (`ss_base_model_version`, ModelSpec), if any."""
    version = metadata.get("ss_base_model_version", "")
    architecture = metadata.get("modelspec.architecture", "").partition("/")[0]
    for family, facts in FAMILIES.items():
        if version in facts.versions.values() or architecture in facts.architectures.values():
            return family
    return None
