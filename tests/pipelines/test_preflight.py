"""The pre-flight: a real step of every phase, and sums of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.host import Host
from adapters.record import Concept
from pipelines import preflight, training
from pipelines.methods.common import resolve
from pipelines.preflight import Preflight, measure
from pipelines.references import take_in
from pipelines.run_config import RunConfig
from pipelines.shipped import SAMPLES
from tests.pipelines.test_trainer import settings, trainer


def found(**changes: Any) -> Preflight:
    return Preflight(**{
        "device": "cpu", "steps": {"words": 10, "weights": 20}, "step_seconds": {"words": 1.0, "weights": 2.0},
        "prepare_seconds": 5.0, "preview_seconds": 3.0, "previews": 4, "checkpoint_seconds": 0.5, "checkpoints": 2,
        "class_images": 6, "class_image_seconds": 1.5, "peak_bytes": 2_000_000_000, "free_bytes": 4_000_000_000,
        "file_bytes": 3_100_000, "disk_bytes": 10, "disk_free_bytes": 100, **changes})


def test_the_time_is_the_sum_of_all_that_a_run_does() -> None:
    assert found().seconds == 5 + (10 * 1 + 20 * 2) + 4 * 3 + 2 * 0.5 + 6 * 1.5


def test_it_is_told_in_a_sentence_with_its_device() -> None:
    assert found().as_dict()["says"] == (
        "About 77 s on this machine (1.00 s and 2.00 s a step, measured on cpu, among it 6 pictures of the class to be "
        "painted); 2.0 GB of memory of 4.0 GB that are free; a file of 3.1 MB.")


@pytest.mark.parametrize(("changes", "said"), [
    ({"free_bytes": 1_000_000_000}, "only 1.0 GB were free"), ({"disk_bytes": 5_000}, "5.0 kB and only 100 bytes")])
def test_what_does_not_fit_is_said_with_what_to_do(changes: dict[str, Any], said: str) -> None:
    (warning,) = found(**changes).warnings()
    assert said in warning and "; " in warning
    assert not found().warnings()
    assert found(told=("Mind the noun.",), **changes).warnings() == ["Mind the noun.", warning]


def test_a_rehearsal_makes_real_steps_of_every_phase(host: Host) -> None:
    made = trainer(host, settings())
    before = made.recipe.adapter.state()
    paces = made.rehearse()
    assert list(paces) == [p.name for p in made.recipe.phases] and min(paces.values()) > 0
    assert any((made.recipe.adapter.state()[k] != v).any() for k, v in before.items())
    assert made.step == 0


def test_a_run_is_measured_on_its_own_pictures(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "load_base", lambda *_, **__: host)
    painted: list[int] = []

    def paint(host: Host, noun: str, count: int, cache: Path | None, report: Any) -> list[Any]:
        painted.append(count)
        return [preflight.Image.new("RGB", (32, 32))] * count

    monkeypatch.setattr(preflight, "paint_class_images", paint)
    monkeypatch.setattr(training.Run, "preview", lambda run, step, report: None)
    folder = tmp_path / "run"
    take_in([SAMPLES / "koala" / "0.png"], folder / "references")
    config = resolve("lora", "starter", "fast", steps=10, checkpoint_every=4, preview_every=5, batch=1,
                     prior_weight=1.0, prior_images=7)
    RunConfig(name="mykoala", class_noun="beagle", base="starter", training=config,
              concepts=(Concept(name="mykoala", noun="beagle", trigger="zok"),)).save(folder)
    events: list[dict[str, Any]] = []
    seen = measure(folder, events.append, cache=tmp_path / "cache")
    assert painted == [1] and seen.class_images == 7  # one is painted, the others are reckoned
    assert (seen.steps, seen.checkpoints, seen.previews) == ({"lora": 10}, 3, 3)
    assert seen.file_bytes == next((folder / "checkpoints").iterdir()).stat().st_size
    assert seen.disk_bytes == 4 * seen.file_bytes + (folder / "resume.pt").stat().st_size
    assert seen.seconds >= 10 * seen.step_seconds["lora"] > 0 and seen.peak_bytes > 1_000_000
    assert seen.warnings() == seen.as_dict()["warnings"] == [e["text"] for e in events if e["type"] == "warning"]
    assert "never saw the word 'beagle'" in seen.warnings()[0]
    stages = [e["text"] for e in events if e["type"] == "stage"]
    assert stages[-2:] == ["One real step", "One preview and one checkpoint"]
