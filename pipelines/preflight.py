"""One real step of a training before anything long starts: minutes, memory and file size, measured and not guessed."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from adapters.host import Host
from pipelines.class_images import class_image_folder, paint_class_images
from pipelines.estimate import as_size, as_time
from pipelines.methods.common import TrainingConfig
from pipelines.run_config import RunConfig
from pipelines.speed.peak import own_peak
from pipelines.trainer import Report
from pipelines.training import RESUME_FILE, set_up


@dataclass(frozen=True)
class Preflight:
    """What a run will take. Times are seconds on `device`; `steps` and `step_seconds` are by phase.

    `peak_bytes` is the most memory it had at a time (of the graphics card, or of the whole process where there is
    none), `free_bytes` what was free before it, None where that cannot be known; `file_bytes` is the adapter's file,
    `disk_bytes` all that the run keeps; `told` is what the run was warned of while it was set up.
    """

    device: str
    steps: dict[str, int]
    step_seconds: dict[str, float]
    prepare_seconds: float
    preview_seconds: float
    previews: int
    checkpoint_seconds: float
    checkpoints: int
    class_images: int
    class_image_seconds: float
    peak_bytes: int
    free_bytes: int | None
    file_bytes: int
    disk_bytes: int
    disk_free_bytes: int
    told: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The whole run, from its start to the adapter's file."""
        return (self.prepare_seconds + sum(n * self.step_seconds[phase] for phase, n in self.steps.items())
                + self.previews * self.preview_seconds + self.checkpoints * self.checkpoint_seconds
                + self.class_images * self.class_image_seconds)

    def warnings(self) -> list[str]:
        """What the run was warned of, and what will most likely end it early, each with what to do."""
        found = list(self.told)
        if self.free_bytes is not None and self.peak_bytes > self.free_bytes:
            found.append(f"It had {as_size(self.peak_bytes)} of memory and only {as_size(self.free_bytes)} were free; "
                         "choose a smaller batch, or close other programs.")
        if self.disk_bytes > self.disk_free_bytes:
            found.append(f"It keeps {as_size(self.disk_bytes)} and only {as_size(self.disk_free_bytes)} of the disk "
                         "are free; free some, or keep checkpoints less often.")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the sum, what it means in a sentence, and warnings."""
        return {**asdict(self), "seconds": self.seconds, "says": self._says(), "warnings": self.warnings()}

    def _says(self) -> str:
        paces = " and ".join(f"{s:.2f} s" if s >= 0.01 else f"{1000 * s:.1f} ms" for s in self.step_seconds.values())
        free = f" of {as_size(self.free_bytes)} that are free" if self.free_bytes is not None else ""
        painted = f", among it {self.class_images} pictures of the class to be painted" if self.class_images else ""
        return (f"About {as_time(self.seconds)} on this machine ({paces} a step, measured on {self.device}{painted}); "
                f"{as_size(self.peak_bytes)} of memory{free}; a file of {as_size(self.file_bytes)}.")


def measure(folder: Path, report: Report, *, taken: Collection[str] = (), cache: Path,
            began: float | None = None) -> Preflight:
    """Set the run in `folder` up, make a real step of each phase, a preview and a checkpoint, and add up.

    Of class images that are not in `cache` yet one is painted and the others are reckoned. `began` is when the process
    did (`time.perf_counter()`), so that its imports count. The folder is not one to go on with after this.
    """
    began = time.perf_counter() if began is None else began
    free, config = _free_memory(), RunConfig.load(folder)
    config.check_packages()
    painted = {"count": 0, "seconds": 0.0, "spent": 0.0}
    told: list[str] = []

    def listening(event: dict[str, Any]) -> None:
        if event["type"] == "warning":
            told.append(event["text"])
        report(event)

    def class_images(host: Host, noun: str, count: int, cache: Path | None, report: Report) -> list[Image.Image]:
        kept = len(list(class_image_folder(host, noun, cache).glob("*.png"))) if cache else 0
        started = time.perf_counter()
        one = paint_class_images(host, noun, 1, None, report)
        painted["seconds"] = time.perf_counter() - started
        painted["spent"] += painted["seconds"]
        painted["count"] += max(count - kept, 0)
        return one * count

    run = set_up(folder, config, listening, taken=taken, cache=cache, class_images=class_images)
    prepared = time.perf_counter() - began - painted["spent"]
    report({"type": "stage", "text": "One real step"})
    paces = run.trainer.rehearse()
    settings = config.training
    report({"type": "stage", "text": "One preview and one checkpoint"})
    previewed = _seconds(lambda: run.preview(1, report)) if settings.preview_every else 0.0
    saved = _seconds(lambda: run.checkpoint(1, report))
    file = next((folder / "checkpoints").glob("*.safetensors")).stat().st_size
    checkpoints = math.ceil(settings.steps / settings.checkpoint_every)
    previews = _previews(settings)
    pictures = sum(p.stat().st_size for p in (folder / "previews").glob("*.png"))
    return Preflight(
        device=_device_name(run.host), steps={p.name: p.steps for p in run.trainer.recipe.phases if p.steps},
        step_seconds=paces, prepare_seconds=prepared, preview_seconds=previewed, previews=previews,
        checkpoint_seconds=saved, checkpoints=checkpoints, class_images=int(painted["count"]),
        class_image_seconds=painted["seconds"], peak_bytes=_peak(), free_bytes=free, file_bytes=file,
        disk_bytes=(checkpoints + 1) * file + previews * pictures + (folder / RESUME_FILE).stat().st_size,
        disk_free_bytes=shutil.disk_usage(folder).free, told=tuple(told))


def _previews(settings: TrainingConfig) -> int:
    """How many times a run paints its preview prompts: before the first step, in between and at the end."""
    return 1 + math.ceil(settings.steps / settings.preview_every) if settings.preview_every else 0


def _seconds(act: Any) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _device_name(host: Host) -> str:
    return torch.cuda.get_device_name(host.device) if host.device.type == "cuda" else host.device.type


def _peak() -> int:
    return torch.cuda.max_memory_reserved() if torch.cuda.is_available() else own_peak()


def _free_memory() -> int | None:
    """Bytes that this process may take: of the graphics card, else of the machine; None where nothing says so."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), None)
