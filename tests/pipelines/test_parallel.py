"""Several processes learn as one: mean gradients, the main process's wish."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import torch
import torch.multiprocessing as mp
from accelerate import Accelerator

from pipelines.parallel import agreed, mean_gradients


def _rank(rank: int, folder: str, port: int) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1",
                      MASTER_PORT=str(port), ACCELERATE_USE_CPU="true")
    accelerator = Accelerator(cpu=True)
    with_gradient = torch.nn.Parameter(torch.zeros(2, 3))
    with_gradient.grad = torch.full((2, 3), float(rank + 1))
    without = torch.nn.Parameter(torch.zeros(4))
    if rank == 0:
        without.grad = torch.ones(4)
    mean_gradients(accelerator, [with_gradient, without])
    torch.save({"a": with_gradient.grad, "b": without.grad, "wish": agreed(accelerator, rank == 0)},
               Path(folder) / f"{rank}.pt")
    accelerator.end_training()


def test_gradients_are_means_and_wishes_the_main_ones(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_rank, args=(str(tmp_path), port), nprocs=2)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert torch.equal(found["a"], torch.full((2, 3), 1.5))
        assert torch.equal(found["b"], torch.full((4,), 0.5))
        assert found["wish"] is True
