"""All speed figures of this machine."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Collection
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from adapters.errors import StudioError
from pipelines.base_models.load import load_base
from pipelines.methods import METHODS
from pipelines.precision import pick_precision
from pipelines.speed import SPEED_PARTS
from pipelines.speed.alone import peak_bytes
from pipelines.speed.growth import with_concepts, with_references, with_steps
from pipelines.speed.loop import loop_efficiency, settings
from pipelines.speed.running import image_seconds, training_seconds
from pipelines.speed.switching import switching

RUN_STEPS, MEMORY_STEPS = 100, 8
Say = Callable[[str], object]


def _whole_runs(found: dict[str, Any], say: Say) -> None:
    """Wall efficiency by method, and how cost grows."""
    found["wall_efficiency"] = {}
    for method in METHODS:
        run = training_seconds(RUN_STEPS, method, batch=settings(method).batch)
        alone = RUN_STEPS * found["seconds_per_step"][method]["bare"]
        found["wall_efficiency"][method] = {"ratio": round(alone / run["total"], 3), **run}
        say(f"wall efficiency {method:18} {alone / run['total']:.3f}  ({run['total']:.0f} s from start to a usable "
            f"adapter for {RUN_STEPS} steps, previews included; {alone:.0f} s of bare steps)")
    for name, what, rows in (("references", "seconds to the first step", with_references()),
                             ("steps", "seconds of a whole run", with_steps()),
                             ("words", "seconds of a picture", with_concepts())):
        found.setdefault("growth", {})[name] = {"what": what, "rows": {str(k): v for k, v in rows.items()}}
        say(f"{what} by {name}: " + ", ".join(f"{k}: {v:.2f}" for k, v in rows.items()))


def versions() -> dict[str, str]:
    """Of the libraries that the figures depend on."""
    return {name: version(name) for name in ("torch", "diffusers", "transformers", "peft")}


def _loops(found: dict[str, Any], quick: bool, say: Say) -> None:
    found |= {"loop_efficiency": {}, "seconds_per_step": {}}
    with tempfile.TemporaryDirectory() as cache:
        for method in METHODS:
            e = loop_efficiency(method, *((3, 2) if quick else (8, 20)), Path(cache))
            found["loop_efficiency"][method] = e.ratio
            found["seconds_per_step"][method] = asdict(e)
            say(f"loop efficiency {method:18} {e.ratio:.3f}  (blocks {e.lowest:.3f} to {e.highest:.3f}; "
                f"{e.studio:.3f} s against {e.bare:.3f} s a step)")


def _pictures(found: dict[str, Any], quick: bool, say: Say) -> None:
    pictures = image_seconds(1 if quick else 3)
    found |= {"image_seconds": pictures["plain"], "image_seconds_lora": pictures["lora"]}
    say(f"a picture of 20 steps  {pictures['plain']:.2f} s, with a LoRA on every layer {pictures['lora']:.2f} s")


def _switching(found: dict[str, Any], quick: bool, say: Say) -> None:
    switched = switching(5, 20) if quick else switching()
    found["switching"] = asdict(switched)
    say(f"adapter switch {switched.milliseconds:.1f} ms (95% within {switched.slowest:.1f}) among {switched.adapters}; "
        f"after {switched.switches} switches {switched.grown_bytes / 1e6:.1f} MB more, pictures "
        f"{'identical' if switched.identical else 'DIFFER'}")


def _runs(found: dict[str, Any], quick: bool, say: Say) -> None:
    if quick:
        return
    t = found["training"] = training_seconds(200)
    say(f"200 steps of batch 4 {t['steps']:.0f} s, with loading and previews {t['total']:.0f} s, "
        f"first preview after {t['first_preview']:.1f} s")
    _whole_runs(found, say)


def _memory(found: dict[str, Any], quick: bool, say: Say) -> None:
    if quick:
        return
    found["peak_memory"] = {}
    for method in METHODS:
        found["peak_memory"][method] = peak = peak_bytes(method, MEMORY_STEPS)
        say(f"peak memory {method:18} {peak / 1e6:.0f} MB above the imported libraries")


_PARTS: dict[str, Callable[[dict[str, Any], bool, Say], None]] = dict(
    zip(SPEED_PARTS, (_loops, _pictures, _switching, _runs, _memory), strict=True))


def measure(quick: bool, say: Say = print, parts: Collection[str] = SPEED_PARTS) -> dict[str, Any]:
    """The figures of the `parts`; `quick` takes fewer blocks, and leaves whole runs and most switches out."""
    found: dict[str, Any] = {}
    for name, part in _PARTS.items():
        if name in parts:
            part(found, quick, say)
    found["machine"] = f"{platform.machine()}, {torch.get_num_threads()} threads, {pick_precision('auto')}"
    found |= {"base": load_base("starter").identity.hash, "versions": versions()}
    say(f"machine: {found['machine']}")
    return found


def together(kept: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What was kept with some parts measured anew. Raises StudioError when these are of another machine or versions."""
    for what in ("machine", "base", "versions"):
        if kept[what] != new[what]:
            raise StudioError(f"The figures that are kept are of {what} {kept[what]}, these of {new[what]}; measure "
                              "all of it anew.")
    return kept | new
