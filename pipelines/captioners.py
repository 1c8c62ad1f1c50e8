"""Which captioners there are, and which of them are here. Imports no torch."""

from __future__ import annotations

from huggingface_hub import try_to_load_from_cache

from pipelines.helpers import BLIP, FLORENCE


def here() -> list[str]:
    """Hub ids of those whose weights are in the hub's cache, the better first."""
    return [place for place in (FLORENCE, BLIP) if isinstance(try_to_load_from_cache(place, "model.safetensors"), str)]
