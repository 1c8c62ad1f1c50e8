"""The recommended checkpoint: what is looked at, what is chosen, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.errors import StudioError
from pipelines.lab import recommend
from pipelines.lab.measures import Score
from pipelines.lab.recommend import Checkpoint, choose
from pipelines.methods.common import resolve
from pipelines.run_config import RunConfig


def _at(step: int, likeness: float, prompt: float | None, half: float = 0.05) -> Checkpoint:
    return Checkpoint(step, Path(f"a-step{step}.safetensors"), Score(likeness, half, 8),
                      None if prompt is None else Score(prompt, 0.05, 8))


def test_among_those_that_are_as_like_the_one_that_follows_prompts_best_is_chosen() -> None:
    seen = [_at(50, 0.30, 0.95), _at(100, 0.58, 0.90), _at(150, 0.60, 0.80), _at(200, 0.61, 0.60)]
    chosen, why = choose(seen)
    assert chosen.step == 100
    assert "0.900 against 0.600" in why and "step 200" in why


def test_an_early_one_that_is_not_like_it_is_never_chosen() -> None:
    assert choose([_at(50, 0.30, 1.0), _at(100, 0.60, 0.2)])[0].step == 100


def test_the_earlier_of_two_alike_is_chosen() -> None:
    assert choose([_at(100, 0.60, 0.9), _at(200, 0.60, 0.9)])[0].step == 100


def test_an_encoder_that_reads_no_words_decides_by_likeness_and_the_step() -> None:
    chosen, why = choose([_at(50, 0.2, None), _at(100, 0.58, None), _at(150, 0.60, None)])
    assert chosen.step == 100 and why.endswith("it came first.")


def test_a_single_one_says_so() -> None:
    chosen, why = choose([_at(100, 0.5, 0.9)])
    assert chosen.step == 100 and why == "Step 100 has the most likeness, 0.500 +- 0.050."


def test_that_intervals_overlap_is_said_of_one_that_is_ahead() -> None:
    ahead = "Step 200 is ahead in likeness, 0.600 +- 0.050, perhaps by chance, for the intervals of step 100 overlap"
    assert choose([_at(50, 0.3, None), _at(100, 0.51, None), _at(200, 0.6, None)])[1] == f"{ahead} with its own."
    both = choose([_at(50, 0.3, 0.9), _at(100, 0.58, 0.7), _at(200, 0.6, 0.8)])[1]
    assert both == f"{ahead} with its own, and no other that is as like follows prompts better."


def _run(folder: Path, steps: list[int], finished: bool) -> None:
    RunConfig(name="a", class_noun="bear", base="starter", training=resolve("lora", "starter", steps=400)).save(folder)
    (folder / "checkpoints").mkdir()
    for step in steps:
        (folder / "checkpoints" / f"a-step{step:08d}.safetensors").touch()
    if finished:
        (folder / "adapter.safetensors").touch()


def test_all_checkpoints_and_the_end_are_looked_at(tmp_path: Path) -> None:
    _run(tmp_path, [100, 200], finished=True)
    assert [s for s, _ in recommend.files(tmp_path)] == [100, 200, 400]


def test_of_many_an_even_choice_with_the_last_is_looked_at(tmp_path: Path) -> None:
    _run(tmp_path, list(range(20, 401, 20)), finished=True)
    found = [s for s, _ in recommend.files(tmp_path, most=5)]
    assert found == [80, 160, 240, 320, 400]


def test_a_run_without_checkpoints_is_refused(tmp_path: Path) -> None:
    _run(tmp_path, [], finished=False)
    with pytest.raises(StudioError, match="has none yet"):
        recommend.files(tmp_path)
