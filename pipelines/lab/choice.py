"""Which encoder judges which pictures, and who the look-alikes are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from PIL import Image, ImageOps

from adapters.errors import StudioError
from pipelines.lab.encoders import CLIP_ID, DINO_ID, Clip, Dino, Encoder, Judge, starter_pair
from pipelines.references import list_folder, open_image
from pipelines.shipped import SAMPLES, STARTER
from pipelines.starter.likeness import Gallery


def choose_encoders(wanted: str, references: Sequence[Image.Image], *, force: bool = False,
                    offline: bool = False) -> list[Encoder]:
    """The CLIP model that is `wanted`; else CLIP ViT-B/32 and DINO ViT-S/16 if they are here; else the starter's own.

    Its own are its text-image pair, or the likeness judge, which reads no words, while the base has no pair. Both
    know the starter's drawn world alone: for other pictures they are refused unless `force`d.
    """
    if wanted:
        return [Clip(wanted, wanted, offline=offline)]
    if here := [e for e in (_if_here(Clip, CLIP_ID), _if_here(Dino, DINO_ID)) if e]:
        return here
    if not force and (share := at_home(references)) < 0.5:
        raise StudioError(f"The starter's own encoder knows drawn scenes alone, and only {share:.0%} of these pictures "
                          f"are like them; fetch '{CLIP_ID}' from the hub (under System, or by 'hf download'), or "
                          "let it judge all the same (on the command line: --encoder, --force).")
    return [starter_pair() if (STARTER / "pipeline" / "clip").is_dir() else Judge()]


def _if_here(kind: type[Clip] | type[Dino], place: str) -> Encoder | None:
    # Asked first, because loading what is not here tries the network for half a minute, offline or not.
    if not isinstance(try_to_load_from_cache(place, "config.json"), str):
        return None
    try:
        return kind(place, place, offline=True)
    except StudioError:  # not all of it was downloaded, which is no fault
        return None


def at_home(pictures: Sequence[Image.Image]) -> float:
    """The share of pictures that look like the starter's world to its likeness judge."""
    gallery = Gallery()
    side = min(min(p.size) for p in pictures)
    seen = Judge().images([ImageOps.fit(p, (side, side)) for p in pictures])
    return float(((seen @ gallery.vectors.T).amax(1) > HOME).float().mean())


HOME = 0.55
"""Cosine to the nearest individual of the world: 95% of the sample pictures are above it (the lowest twentieth ends
at 0.60) and 95% of the photos of 20 DreamBench subjects below it (at 0.51)."""


def sample_look_alikes(base: str, references: Path) -> dict[str, list[Image.Image]]:
    """For the starter, the other sample sets; for other bases nobody."""
    if base != "starter":
        return {}
    own = {open_image(p).tobytes() for p in list_folder(references)}
    found = {}
    for folder in sorted((*SAMPLES.iterdir(), *(SAMPLES / "development").iterdir())):
        if (folder / "sample.json").exists():
            pictures = [open_image(p) for p in list_folder(folder)]
            if not any(p.tobytes() in own for p in pictures):
                found[folder.name] = pictures
    return found
