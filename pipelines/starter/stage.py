"""What the starter's training stages share: resumable state, device, schedule, batches of pictures."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image


class Stage:
    """A named training stage whose state survives an interruption.

    `state` maps names to objects with `state_dict`/`load_state_dict`; every `save_every` steps all
    of them go, with the step and torch's generator state, into one file that is replaced atomically.
    The file holds CPU tensors, and all chance of a stage comes from torch's CPU generator: what a GPU
    began goes on anywhere, as exactly as on a CPU.
    """

    def __init__(self, name: str, work: Path, state: dict[str, Any], save_every: int = 250) -> None:
        self.path = work / f"{name}.pt"
        self.name = name
        self.state = state
        self.save_every = save_every
        self.step = 0
        if self.path.exists():
            saved = torch.load(self.path, weights_only=True)
            for key, owner in state.items():
                owner.load_state_dict(saved[key])
            torch.set_rng_state(saved["rng"])
            self.step = saved["step"]

    def save(self) -> None:
        """Write the state atomically."""
        blob = {key: _on_cpu(owner.state_dict()) for key, owner in self.state.items()}
        temporary = self.path.with_suffix(".tmp")
        torch.save({**blob, "rng": torch.get_rng_state(), "step": self.step}, temporary)
        os.replace(temporary, self.path)

    def run(self, steps: int, step_fn: Callable[[int], dict[str, float]]) -> None:
        """Call `step_fn(step)` up to `steps`; print its averaged numbers and save now and then."""
        started, sums, count = time.monotonic(), dict[str, float](), 0
        while self.step < steps:
            for key, value in step_fn(self.step).items():
                sums[key] = sums.get(key, 0.0) + value
            self.step, count = self.step + 1, count + 1
            if self.step % 50 == 0 or self.step == steps:
                means = "  ".join(f"{k} {v / count:.4f}" for k, v in sums.items())
                pace = (time.monotonic() - started) / count
                print(f"{self.name} {self.step}/{steps}  {means}  {pace:.2f} s/step", flush=True)
                started, sums, count = time.monotonic(), {}, 0
            if self.step % self.save_every == 0 or self.step == steps:
                self.save()


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(v) for key, v in value.items()}
    return [_on_cpu(v) for v in value] if isinstance(value, list) else value


def device() -> torch.device:
    """CUDA or MPS where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def one_cycle(step: int, steps: int, warmup: int) -> float:
    """Learning rate factor 0-1: linear warm-up, then a half cosine to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def to_tensor(images: list[Image.Image]) -> torch.Tensor:
    """RGB images of one size as a float tensor [N, 3, H, W] in -1..1."""
    stack = np.stack([np.asarray(i) for i in images])
    return torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 127.5 - 1


def from_bytes(pictures: NDArray[np.uint8], where: torch.device | None = None) -> torch.Tensor:
    """Pictures [N, H, W, 3] as a float tensor [N, 3, H, W] in -1..1 on a device."""
    return torch.from_numpy(pictures).to(where or "cpu").permute(0, 3, 1, 2).float() / 127.5 - 1
