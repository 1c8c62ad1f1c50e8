"""Peak resident memory of a process, in bytes."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_of(pid: int | str) -> int | None:
    """The high-water mark of a running process; None where there is no /proc, or no such process any more.

    Not `ru_maxrss`: that of a child begins at what its parent had in memory when it was started.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)


def own_peak() -> int:
    """That of this process, on every system."""
    unit = 1 if sys.platform == "darwin" else 1024
    return peak_of("self") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
