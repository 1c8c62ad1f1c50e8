"""The scenes that the denoiser learns from, as latents on disk: drawn and encoded once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from pipelines.starter.config import StarterConfig
from pipelines.starter.drawing import Order, chunks
from pipelines.starter.stage import from_bytes

SHARD = 2000


def cache_scenes(config: StarterConfig, vae: AutoencoderKL, work: Path) -> tuple[torch.Tensor, list[str]]:
    """Latents [N, C, h, w] fp16 (on the CPU) and captions of `scenes` random scenes.

    Shards of SHARD scenes lie under `work/latents`; those that are there are not drawn again.
    """
    folder = work / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    latents, captions = [], []
    for start in range(0, config.diffusion.scenes, SHARD):
        count = min(SHARD, config.diffusion.scenes - start)
        path = folder / f"{start:06}-{count}.pt"
        if not path.exists():
            _draw_shard(config, vae, path, start, count)
        saved = torch.load(path, weights_only=True)
        latents.append(saved["latents"])
        captions += saved["captions"]
    return torch.cat(latents), captions


def _draw_shard(config: StarterConfig, vae: AutoencoderKL, path: Path, start: int, count: int) -> None:
    where, began = next(vae.parameters()).device, time.monotonic()
    latents: list[torch.Tensor] = []
    captions: list[str] = []
    for pictures, specs in chunks(Order(config.seed + 1, config.size), count, start):
        with torch.no_grad(), torch.autocast(where.type, torch.bfloat16):
            latents.append(vae.encode(from_bytes(pictures, where)).latent_dist.mean.half().cpu())
        captions += [s.caption for s in specs]
    temporary = path.with_suffix(".tmp")
    torch.save({"latents": torch.cat(latents), "captions": captions}, temporary)
    os.replace(temporary, path)
    print(f"latents: {start + count}/{config.diffusion.scenes}  "
          f"{count / (time.monotonic() - began):.0f} scenes/s", flush=True)
