"""All speed figures of this machine."""

from __future__ import annotations

import platform
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pipelines.methods import METHODS
from pipelines.speed.loop import loop_efficiency
from pipelines.speed.running import image_seconds, training_seconds
from pipelines.speed.switching import switching
from pipelines.training import pick_precision


def measure(quick: bool, say: Any = print) -> dict[str, Any]:
    """All figures; `quick` takes fewer blocks, and leaves whole runs and most switches out."""
    found: dict[str, Any] = {"loop_efficiency": {}, "seconds_per_step": {}}
    with tempfile.TemporaryDirectory() as cache:
        for method in METHODS:
            e = loop_efficiency(method, *((3, 3) if quick else (8, 20)), Path(cache))
            found["loop_efficiency"][method] = e.ratio
            found["seconds_per_step"][method] = asdict(e)
            say(f"loop efficiency {method:18} {e.ratio:.3f}  (blocks {e.lowest:.3f} to {e.highest:.3f}; "
                f"{e.studio:.3f} s against {e.bare:.3f} s a step)")
    found["image_seconds"] = image_seconds(1 if quick else 3)
    say(f"a picture of 20 steps  {found['image_seconds']:.2f} s")
    switched = switching(5, 20) if quick else switching()
    found["switching"] = asdict(switched)
    say(f"adapter switch {switched.milliseconds:.1f} ms (95% within {switched.slowest:.1f}) among {switched.adapters}; "
        f"after {switched.switches} switches {switched.grown_bytes / 1e6:.1f} MB more, pictures "
        f"{'identical' if switched.identical else 'DIFFER'}")
    if not quick:
        t = found["training"] = training_seconds(200)
        say(f"200 steps of batch 4 {t['steps']:.0f} s, with loading and previews {t['total']:.0f} s, "
            f"first preview after {t['first_preview']:.1f} s")
    found["machine"] = f"{platform.machine()}, {torch.get_num_threads()} threads, {pick_precision('auto')}"
    say(f"machine: {found['machine']}")
    return found
