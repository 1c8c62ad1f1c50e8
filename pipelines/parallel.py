"""Several processes of one run (`accelerate launch`): one decision, one gradient.

Only what is learned goes between them, so the base is not wrapped and phases may change what moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast


def agreed(accelerator: Accelerator, wish: bool) -> bool:
    """The main process's wish."""
    if accelerator.num_processes == 1:
        return wish
    return bool(broadcast(torch.tensor([int(wish)], device=accelerator.device)).item())


def mean_gradients(accelerator: Accelerator, parameters: Sequence[torch.nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes, in one message."""
    if accelerator.num_processes == 1:
        return
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
    mean = accelerator.reduce(flat, "mean")
    for p, part in zip(parameters, mean.split([p.numel() for p in parameters]), strict=True):
        p.grad = part.view_as(p).clone()
