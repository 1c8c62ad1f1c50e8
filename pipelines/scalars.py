"""A run's numbers as TensorBoard sees them: `tensorboard --logdir RUN/logs`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.extras import require

Report = Callable[[dict[str, Any]], None]
LOGS = "logs"
_ELSEWHERE = frozenset({"type", "step", "total", "seconds", "loss", "rate"})


@contextlib.contextmanager
def logging_scalars(folder: Path, report: Report, *, first: int, pictures: int,
                    rates: Callable[[], Mapping[str, float]]) -> Iterator[Report]:
    """A report that passes every event on to `report` and writes those of steps into `folder`.

    Scalars by step: `loss/total` and `loss/<name>`, `rate/factor` (the schedule's) and `rate/<group>` (as `rates()`
    says after the step), `speed/seconds_per_step` and `speed/samples_per_second`, where a step sees `pictures`.
    `first` is the run's next step: what an earlier part of the run wrote from there on is taken back. Raises
    StudioError when the package tensorboard is not installed.
    """
    require("tensorboard", "The TensorBoard log")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder), purge_step=first) as writer:
        def told(event: dict[str, Any]) -> None:
            if event["type"] == "step":
                for tag, value in scalars(event, pictures, rates()).items():
                    writer.add_scalar(tag, value, event["step"])
            report(event)

        yield told


def scalars(event: Mapping[str, Any], pictures: int, rates: Mapping[str, float]) -> dict[str, float]:
    """The scalars of one step's event, by tag."""
    losses = {f"loss/{name}": value for name, value in event.items() if name not in _ELSEWHERE}
    return {"loss/total": event["loss"], **losses, "rate/factor": event["rate"],
            **{f"rate/{group}": value for group, value in rates.items()},
            "speed/seconds_per_step": event["seconds"], "speed/samples_per_second": pictures / event["seconds"]}
