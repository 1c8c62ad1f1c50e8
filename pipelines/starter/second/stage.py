"""What the training stages of the second edition share: state that moves between devices, batches of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.starter import stage


class Stage(stage.Stage):
    """A stage whose state is kept on the CPU: what a GPU began goes on anywhere.

    All chance of a stage comes from torch's CPU generator, so a GPU resumes as exactly as a CPU.
    """

    def __init__(self, name: str, work: Path, state: dict[str, Any], save_every: int = 250) -> None:
        super().__init__(name, work, {key: _OnCpu(owner) for key, owner in state.items()}, save_every)


class _OnCpu:
    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.load_state_dict = owner.load_state_dict

    def state_dict(self) -> Any:
        return _on_cpu(self.owner.state_dict())


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


def from_bytes(pictures: NDArray[np.uint8], where: torch.device | None = None) -> torch.Tensor:
    """Pictures [N, H, W, 3] as a float tensor [N, 3, H, W] in -1..1 on a device."""
    return torch.from_numpy(pictures).to(where or "cpu").permute(0, 3, 1, 2).float() / 127.5 - 1
