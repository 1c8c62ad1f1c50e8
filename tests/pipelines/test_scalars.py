"""What TensorBoard is told, read back with its own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.errors import StudioError
from adapters.host import Host
from pipelines import extras
from pipelines.methods.lora.config import Config
from pipelines.scalars import logging_scalars, scalars
from pipelines.trainer import Trainer
from tests.adapters.tools import twin
from tests.pipelines.tools import Watch, begin, lesson, run

EVENT = {"type": "step", "step": 3, "total": 9, "seconds": 0.5, "loss": 3.0, "rate": 0.25, "denoising": 1.0,
         "attention": 2.0}


def written(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) by tag, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seen = EventAccumulator(str(folder))
    seen.Reload()
    return {tag: [(e.step, e.value) for e in seen.Scalars(tag)] for tag in seen.Tags()["scalars"]}


def logged(made: Trainer, folder: Path, stop: int | None = None) -> Watch:
    watch = Watch(stop)
    with logging_scalars(folder, watch, first=made.step + 1, pictures=6, rates=made.rates) as told:
        made.run(report=told, control=watch)
    return watch


def settings() -> Config:
    return Config(steps=5, batch=2, accumulate=3, learning_rate=0.5, schedule="linear", rank=2, alpha=2.0)


def test_a_step_as_scalars() -> None:
    assert scalars(EVENT, 8, {"lora": 1e-4}) == {
        "loss/total": 3.0, "loss/denoising": 1.0, "loss/attention": 2.0, "rate/factor": 0.25, "rate/lora": 1e-4,
        "speed/seconds_per_step": 0.5, "speed/samples_per_second": 16.0}


def test_a_runs_losses_and_rates_are_read_back(host: Host, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    watch = logged(begin(host, settings(), lesson("a")), tmp_path)
    steps = watch.of("step")
    assert len(steps) == 5 and watch.of("phase")  # the events still come
    seen = written(tmp_path)
    for tag, key in (("loss/total", "loss"), ("loss/denoising", "denoising"), ("rate/factor", "rate"),
                     ("speed/seconds_per_step", "seconds")):
        assert seen[tag] == [(e["step"], pytest.approx(e[key], rel=1e-6)) for e in steps]
    assert [v for _, v in seen["rate/lora"]] == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1])
    assert [v for _, v in seen["speed/samples_per_second"]] == pytest.approx([6 / e["seconds"] for e in steps])


def test_a_resumed_run_goes_on_in_the_same_log_and_takes_back_what_it_repeats(host: Host, tmp_path: Path) -> None:
    """Resumed from step 2 after a crash at step 4: steps 3 and 4 are there once, as the second run made them."""
    pytest.importorskip("tensorboard")
    first, second = (begin(twin(host), settings(), lesson("a")) for _ in range(2))
    kept: dict[str, Any] = {}
    run(first, stop=2)
    kept.update(first.state_dict())
    second.load_state_dict(kept)
    again = begin(host, settings(), lesson("a"))
    before = logged(again, tmp_path, stop=4).of("step")
    after = logged(second, tmp_path).of("step")
    seen = written(tmp_path)["speed/seconds_per_step"]
    assert seen == [(e["step"], pytest.approx(e["seconds"], rel=1e-6)) for e in before[:2] + after]
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5]


def test_without_the_package_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with (pytest.raises(StudioError, match=r"log needs the package 'tensorboard'.*pip install tensorboard$"),
          logging_scalars(tmp_path / "logs", Watch(), first=1, pictures=1, rates=dict[str, float])):
        pytest.fail("begun all the same")
    assert not (tmp_path / "logs").exists()
