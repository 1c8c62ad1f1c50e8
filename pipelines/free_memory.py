"""How much memory is there, and how much of it is free."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def main_memory() -> tuple[int, int] | None:
    """(all, free) bytes of main memory; None where the system does not say. Imports no torch."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    try:
        # Linux counts what it can drop as free here alone.
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), free)
    except (OSError, ValueError):
        pass
    return total, free


def free_on(device: torch.device) -> int:
    """Free bytes where a network is; 0 where nobody says."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    known = main_memory() if device.type == "cpu" else None
    return known[1] if known else 0
