"""What was measured of speed: parts measured anew stand beside what was kept only where all else is the same."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.errors import StudioError
from pipelines.speed import SPEED_PARTS, measure
from pipelines.speed.alone import peak_bytes
from pipelines.speed.measure import together

KEPT = {"machine": "m", "base": "b", "versions": {"torch": "1"}, "image_seconds": 2.0,
        "switching": {"milliseconds": 9.0}}


def test_a_part_takes_the_place_of_what_was_kept_of_it() -> None:
    new = {**KEPT, "switching": {"milliseconds": 4.0}}
    new.pop("image_seconds")
    assert together(KEPT, new) == {**KEPT, "switching": {"milliseconds": 4.0}}


@pytest.mark.parametrize("change", [{"machine": "n"}, {"base": "c"}, {"versions": {"torch": "2"}}])
def test_figures_of_another_machine_or_version_do_not_stand_together(change: dict[str, Any]) -> None:
    with pytest.raises(StudioError, match="measure all of it anew"):
        together(KEPT, {**KEPT, **change})


def test_only_the_parts_that_are_asked_for_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = list[tuple[str, bool]]()
    for name in SPEED_PARTS:
        monkeypatch.setitem(measure._PARTS, name, lambda found, quick, say, name=name: ran.append((name, quick)))
    found = measure.measure(True, lambda text: None, ["switching"])
    assert ran == [("switching", True)] and set(found) == {"machine", "base", "versions"}
    measure.measure(False, lambda text: None)
    assert [name for name, _ in ran[1:]] == ["loops", "pictures", "switching", "runs", "memory"]


def test_a_run_that_fails_while_its_memory_is_measured_is_said_so() -> None:
    with pytest.raises(StudioError, match=r"run of 'sculpture'.*There is no method 'sculpture'.*measure again"):
        peak_bytes("sculpture", 1)
