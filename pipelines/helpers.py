"""Models beside the base that some tools use where their weights are here. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

BLIP, FLORENCE = "Salesforce/blip-image-captioning-base", "florence-community/Florence-2-base"
SAM, CLIPSEG = "facebook/sam-vit-base", "CIDAS/clipseg-rd64-refined"
CLIP, DINO = "openai/clip-vit-base-patch32", "facebook/dino-vits16"
_SAFE, _PICKLED = "model.safetensors", "pytorch_model.bin"


@dataclass(frozen=True)
class Helper:
    """One of them."""

    id: str
    """On the hub."""
    title: str
    good_for: str
    """What it is used for, in a sentence."""
    licence: str = ""
    """As its model card names it; '' when it names none."""
    bytes: int = 0
    """About what is fetched; 0 when that is not known before the hub is asked."""
    weights: tuple[str, ...] = (_SAFE,)
    """Files that hold them, the better first; of a pickle only the tensors are read."""

    def wanted(self, files: Collection[str]) -> list[str]:
        """Those of the model's files that are used: one with the weights, and the small ones beside it.

        Empty when no weights are among them.
        """
        weights = next((w for w in self.weights if w in files), None)
        small = [f for f in files if "/" not in f and any(fnmatch(f, p) for p in ("*.json", "*.txt"))]
        return [weights, *small] if weights else []

    def file(self) -> Path | None:
        """Its weights in the hub's cache, where they and the configuration are there."""
        from huggingface_hub import try_to_load_from_cache

        found = [try_to_load_from_cache(self.id, name) for name in ("config.json", *self.weights)]
        here = [Path(f) for f in found[1:] if isinstance(f, str)]
        return here[0] if here and isinstance(found[0], str) else None


HELPERS: dict[str, Helper] = {h.id: h for h in (
    Helper(FLORENCE, "Florence-2", "Writes captions for your pictures under Concepts; the better of the two.", "mit"),
    Helper(BLIP, "BLIP", "Writes captions for your pictures under Concepts.", "bsd-3-clause", 990_000_000),
    Helper(SAM, "SAM", "Finds a mask from a press or a box under Concepts, and automatic masks.", "apache-2.0",
           375_000_000),
    Helper(CLIPSEG, "CLIPSeg", "Finds a mask by a word under Concepts, and automatic masks.", "apache-2.0",
           603_000_000),
    Helper(CLIP, "CLIP", "Judges likeness and prompt following in comparisons, evaluations and recommendations.", "",
           605_000_000, (_SAFE, _PICKLED)),
    Helper(DINO, "DINO", "Judges likeness a second time, by form and not by words.", "apache-2.0", 87_000_000,
           (_SAFE, _PICKLED)),
)}
"""By hub id."""
