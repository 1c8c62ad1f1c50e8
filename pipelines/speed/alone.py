"""A short run in a process of its own, for the memory it needs: `python -m pipelines.speed.alone METHOD STEPS`."""

from __future__ import annotations

import subprocess
import sys

from adapters.errors import StudioError
from pipelines.shipped import REPOSITORY
from pipelines.speed.loop import settings
from pipelines.speed.peak import own_peak
from pipelines.speed.running import training_seconds


def peak_bytes(method: str, steps: int) -> int:
    """The most that a run of `steps` needs above the imported libraries: loading, previews and saving included.

    Raises StudioError when the run fails.
    """
    told = subprocess.run([sys.executable, "-W", "ignore", "-m", "pipelines.speed.alone", method, str(steps)],
                          cwd=REPOSITORY, capture_output=True, text=True)
    if told.returncode:
        lines = told.stderr.strip().splitlines() or [f"exit code {told.returncode}"]
        raise StudioError(f"The memory of a run of '{method}' should be measured, but the run failed ({lines[-1]}); "
                          "see to that and measure again.")
    return int(told.stdout.splitlines()[-1])


def main() -> None:
    """Run, and print the bytes."""
    method, steps = sys.argv[1], int(sys.argv[2])
    imported = own_peak()
    training_seconds(steps, method, batch=settings(method).batch, preview_every=max(steps // 2, 1), prior_images=4)
    print(own_peak() - imported)


if __name__ == "__main__":
    main()
