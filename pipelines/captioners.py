"""Which captioners there are, and which of them are here. Imports no torch."""

from __future__ import annotations

from huggingface_hub import try_to_load_from_cache

BLIP, FLORENCE = "Salesforce/blip-image-captioning-base", "florence-community/Florence-2-base"


def here() -> list[str]:
    """Hub ids of those whose weights are in the hub's cache, the better first."""
    return [place for place in (FLORENCE, BLIP) if isinstance(try_to_load_from_cache(place, "model.safetensors"), str)]
