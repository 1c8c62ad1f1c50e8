"""A training in a process of its own, so that its peak memory is its own: `python -m pipelines.lab.apart FOLDER`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import StudioError
from pipelines.shipped import REPOSITORY
from pipelines.speed.peak import own_peak


@dataclass(frozen=True)
class Cost:
    """`seconds` from the process's start to the adapter file; `peak_bytes` above the imported libraries."""

    adapter: Path
    seconds: float
    peak_bytes: int


def train_apart(folder: Path, cache: Path) -> Cost:
    """Train the run in `folder`. Raises StudioError with what the process said when it fails."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-W", "ignore", "-m", "pipelines.lab.apart", str(folder), str(cache)],
                          capture_output=True, text=True, check=False, cwd=REPOSITORY)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1][:300]
        raise StudioError(f"The training in '{folder.name}' failed ({said}); mend that and start it again.")
    told = json.loads(lines[-1])
    return Cost(Path(told["adapter"]), round(time.monotonic() - started, 1), int(told["peak_bytes"]))


def main() -> int:
    """Train and print one JSON line: the adapter's path and the peak memory."""
    folder, cache = map(Path, sys.argv[1:3])
    import torch

    from pipelines.trainer import Uninterrupted
    from pipelines.training import train_run

    before = own_peak()
    try:
        adapter = train_run(folder.resolve(), report=lambda event: None, control=Uninterrupted(), cache=cache.resolve())
    except StudioError as error:
        print(error, file=sys.stderr)
        return 2
    peak = own_peak() - before
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
    print(json.dumps({"adapter": str(adapter), "peak_bytes": peak}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
