"""The scenes that the denoiser learns from, as latents on disk: drawn and encoded once."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from pipelines.starter.config import StarterConfig
from pipelines.starter.drawing import Order, chunks
from pipelines.starter.stage import from_bytes
from pipelines.starter.world import Spec

SHARD = 2000


@dataclass(frozen=True)
class Scenes:
    """Latents [N, C, h, w] fp16, captions, and where their objects stand [N, h, w] (bool); on the CPU."""

    latents: torch.Tensor
    captions: list[str]
    objects: torch.Tensor


def object_boxes(specs: Sequence[Spec], side: int) -> torch.Tensor:
    """[N, side, side] (bool): true in the squares in which the objects are placed."""
    found = torch.zeros(len(specs), side, side, dtype=torch.bool)
    for n, spec in enumerate(specs):
        for p in spec.placements:
            left, top = (max(math.floor((middle - p.side / 2) * side), 0) for middle in (p.x, p.y))
            right, bottom = (min(math.ceil((middle + p.side / 2) * side), side) for middle in (p.x, p.y))
            found[n, top:bottom, left:right] = True
    return found


def cache_scenes(config: StarterConfig, vae: AutoencoderKL, work: Path) -> Scenes:
    """`scenes` random scenes, encoded.

    Shards of SHARD scenes lie under `work/latents`; those that are there are not drawn again.
    """
    folder = work / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    latents, captions, objects = [], [], []
    for start in range(0, config.diffusion.scenes, SHARD):
        count = min(SHARD, config.diffusion.scenes - start)
        path = folder / f"{start:06}-{count}.pt"
        if not path.exists():
            _draw_shard(config, vae, path, start, count)
        saved = torch.load(path, weights_only=True)
        latents.append(saved["latents"])
        captions += saved["captions"]
        objects.append(saved["objects"])
    return Scenes(torch.cat(latents), captions, torch.cat(objects))


def _draw_shard(config: StarterConfig, vae: AutoencoderKL, path: Path, start: int, count: int) -> None:
    where, began = next(vae.parameters()).device, time.monotonic()
    latents, objects = list[torch.Tensor](), list[torch.Tensor]()
    captions: list[str] = []
    for pictures, specs in chunks(Order(config.seed + 1, config.size), count, start):
        with torch.no_grad(), torch.autocast(where.type, torch.bfloat16):
            latents.append(vae.encode(from_bytes(pictures, where)).latent_dist.mean.half().cpu())
        captions += [s.caption for s in specs]
        objects.append(object_boxes(specs, latents[-1].shape[-1]))
    temporary = path.with_suffix(".tmp")
    torch.save({"latents": torch.cat(latents), "captions": captions, "objects": torch.cat(objects)}, temporary)
    os.replace(temporary, path)
    print(f"latents: {start + count}/{config.diffusion.scenes}  "
          f"{count / (time.monotonic() - began):.0f} scenes/s", flush=True)
