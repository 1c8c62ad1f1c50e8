"""The scenes that the denoiser learns from, as latents on disk: drawn and encoded once."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from pipelines.starter.config import StarterConfig
from pipelines.starter.drawing import Order, chunks, told
from pipelines.starter.stage import from_bytes
from pipelines.starter.world import COLUMNS, ROWS, Rng, Spec, World

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


def quartered(maps: torch.Tensor) -> torch.Tensor:
    """[N, ..., h, w] as [4 N, ..., h/2, w/2]: the quarters of each, row by row."""
    rows = torch.stack(maps.chunk(2, -2), 1)
    parts = torch.stack(rows.chunk(2, -1), 2)
    return parts.flatten(0, 2).contiguous()


def cache_scenes(config: StarterConfig, vae: AutoencoderKL, work: Path) -> Scenes:
    """`scenes` random scenes, encoded.

    Shards of SHARD scenes lie under `work/latents`; those that are there are not drawn again.
    """
    return _cached(Order(config.seed + 1, config.size), config.diffusion.scenes, vae, work / "latents")


def cache_parts(config: StarterConfig, vae: AutoencoderKL, work: Path) -> list[Scenes]:
    """Parts of pictures of four objects: single objects, two side by side, two one over the other.

    `close_ups` of the first, under `work/close-ups`, a quarter of a scene each; the others are halves of the
    same pictures, as many as have two objects that may be seen together.
    """
    order, count = Order(config.seed + 5, config.size, quarters=True), config.diffusion.close_ups // 4
    four = _cached(order, count, vae, work / "close-ups")
    single = Scenes(quartered(four.latents), [line for c in four.captions for line in c.split("\n")],
                    quartered(four.objects))
    world, specs = told(order, count)
    rng = np.random.default_rng(order.seed + 1)
    return [single, *(_halves(four, specs, world, rng, dim, places) for dim, places in ((-2, ROWS), (-1, COLUMNS)))]


def _halves(four: Scenes, specs: list[Spec], world: World, rng: Rng, dim: int,
            places: tuple[tuple[int, int], ...]) -> Scenes:
    latents, objects = (torch.stack(m.chunk(2, dim), 1).flatten(0, 1) for m in (four.latents, four.objects))
    captions = [world.half(rng, spec, two) for spec in specs for two in places]
    kept = [n for n, c in enumerate(captions) if c]
    return Scenes(latents[kept], [c for c in captions if c], objects[kept])


def _cached(order: Order, total: int, vae: AutoencoderKL, folder: Path) -> Scenes:
    folder.mkdir(parents=True, exist_ok=True)
    latents, captions, objects = [], [], []
    for start in range(0, total, SHARD):
        count = min(SHARD, total - start)
        path = folder / f"{start:06}-{count}.pt"
        if not path.exists():
            _draw_shard(order, vae, path, start, count)
        saved = torch.load(path, weights_only=True)
        latents.append(saved["latents"])
        captions += saved["captions"]
        objects.append(saved["objects"])
    return Scenes(torch.cat(latents), captions, torch.cat(objects))


def _draw_shard(order: Order, vae: AutoencoderKL, path: Path, start: int, count: int) -> None:
    where, began = next(vae.parameters()).device, time.monotonic()
    latents, objects = list[torch.Tensor](), list[torch.Tensor]()
    captions: list[str] = []
    for pictures, specs in chunks(order, count, start):
        with torch.no_grad(), torch.autocast(where.type, torch.bfloat16):
            latents.append(vae.encode(from_bytes(pictures, where)).latent_dist.mean.half().cpu())
        captions += [s.caption for s in specs]
        objects.append(object_boxes(specs, latents[-1].shape[-1]))
    temporary = path.with_suffix(".tmp")
    torch.save({"latents": torch.cat(latents), "captions": captions, "objects": torch.cat(objects)}, temporary)
    os.replace(temporary, path)
    print(f"{path.parent.name}: {start + count}  {count / (time.monotonic() - began):.0f} pictures/s", flush=True)
