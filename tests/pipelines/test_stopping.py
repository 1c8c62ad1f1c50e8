"""A run is stopped where it has no step yet: before class images, between them, between previews; and goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.methods.common import resolve
from pipelines.run_config import RunConfig
from pipelines.trainer import Stopped, heeding
from pipelines.training import RESUME_FILE, train_run
from tests.pipelines.tools import image


class StopWhen:
    """A control and a report: stops once an event is what is waited for."""

    def __init__(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        self.wanted, self.events, self.asked = wanted, list[dict[str, Any]](), False

    def __call__(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.asked = self.asked or self.wanted(event)

    def stop_requested(self) -> bool:
        return self.asked

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["type"] == kind]


def _run(folder: Path, method: str = "lora", **settings: Any) -> Path:
    (folder / "references").mkdir(parents=True)
    (folder / "masks").mkdir()
    image(side=128).save(folder / "references" / "0.png")
    image(side=128).convert("L").point(lambda _: 255).save(folder / "masks" / "0-0.png")
    training = resolve(method, "starter", batch=1, rank=1, preview_steps=1, precision="fp32",
                       **{"steps": 2, "preview_every": 0, "prior_weight": 1.0, **settings})
    RunConfig(name="mycat", class_noun="cat", base="starter", training=training).save(folder)
    return folder


def _go(folder: Path, watch: StopWhen) -> Path | None:
    return train_run(folder, report=watch, control=watch)


def _pictures(folder: Path) -> int:
    return len(list((folder / "cache" / "class-images").rglob("*.png")))


def test_a_stop_while_class_images_are_painted_ends_within_one_and_goes_on(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run", prior_images=3)
    first = StopWhen(lambda e: "2 of" in e.get("text", ""))
    assert _go(folder, first) is None
    assert _pictures(folder) == 1 and first.events[-1] == {"type": "stopped", "step": 0}
    assert not (folder / RESUME_FILE).exists() and not first.of("step")
    second = StopWhen(lambda e: False)
    assert _go(folder, second)
    assert [e["step"] for e in second.of("step")] == [1, 2]
    assert not any("1 of" in e["text"] for e in second.of("stage"))  # what was painted is kept


def test_a_stop_in_a_later_phases_class_images_keeps_what_was_learned(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run", "break-a-scene", prior_images=2, checkpoint_every=50)
    first = StopWhen(lambda e: "of the class" in e.get("text", ""))
    assert _go(folder, first) is None
    assert [e["step"] for e in first.of("checkpoint")] == [1] and first.events[-1] == {"type": "stopped", "step": 1}
    second = StopWhen(lambda e: False)
    assert _go(folder, second)
    assert [e["step"] for e in second.of("resumed")] == [1] and [e["step"] for e in second.of("step")] == [2]


def test_a_stop_between_the_first_previews_paints_no_other(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run", preview_every=1, prior_weight=0.0)
    watch = StopWhen(lambda e: e["type"] == "preview")
    assert _go(folder, watch) is None
    assert len(watch.of("preview")) == 1 and not watch.of("step")
    assert watch.events[-1] == {"type": "stopped", "step": 0}


def test_nothing_is_loaded_for_a_run_that_is_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = StopWhen(lambda e: True)
    monkeypatch.setattr("pipelines.training.load_base", lambda *_, **__: pytest.fail("was loaded"))
    assert _go(_run(tmp_path / "run"), watch) is None


def test_a_report_that_heeds_tells_first() -> None:
    watch = StopWhen(lambda e: e["type"] == "warning")
    told = heeding(watch, watch)
    told({"type": "stage"})
    with pytest.raises(Stopped):
        told({"type": "warning"})
    assert len(watch.events) == 2
