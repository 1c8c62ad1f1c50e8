"""Tensors in safetensors files: written atomically, read only after their header is checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch

from adapters.errors import StudioError
from adapters.files import Header, not_whole, read_header, write_atomic


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file atomically."""
    ready = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_atomic(path, lambda p: safetensors.torch.save_file(ready, p, dict(metadata)))


def digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hex SHA-256 of names, types, shapes and values, whatever their order in a file."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        t = tensors[name].detach().cpu().contiguous()
        found.update(json.dumps([name, str(t.dtype), list(t.shape)]).encode())
        found.update(t.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def read_tensors(path: Path) -> tuple[Header, dict[str, torch.Tensor]]:
    """Read a safetensors file after its header has been checked; every value must be finite."""
    header = read_header(path)
    try:
        tensors = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise not_whole(path, str(error)[:120]) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all():
            raise StudioError(
                f"'{path.name}' holds values that are not numbers (in '{name[:60]}'); its training "
                "went wrong, take an earlier checkpoint."
            )
    return header, tensors
