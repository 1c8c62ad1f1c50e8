"""Why a claim came out as it did: what was measured is kept and stands beside the claim. Nothing is trained here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.lab import reasons, series
from pipelines.lab.reasons import Reason
from pipelines.lab.trials import Lab, Trial

ATTENTION = next(a for a in series.ablations() if a.name == "attention loss")
WHOLE, WITHOUT = next(ATTENTION.pairs())


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    """One in which the first scene was tried, with the attention loss (together .5) and without (.4)."""
    rows = {WHOLE: 0.5, WITHOUT: 0.4}

    def find(self: Lab, trial: Trial) -> dict[str, Any] | None:
        row = {"group": "together", "shows": [0, 1], "right": {}, "margin": {}, "rank": [0, 0]}
        return None if trial not in rows else {"samples": list(trial.samples), "images": [
            {**row, "cosine": [rows[trial]] * 2}]}

    monkeypatch.setattr(Lab, "base", "b")
    monkeypatch.setattr(Lab, "find", find)
    return Lab()


def test_each_trial_is_looked_into_once_and_kept(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[Trial]()

    def measure(lab: Lab, trial: Trial) -> dict[str, float]:
        seen.append(trial)
        return {"astray": 0.25 if trial == WHOLE else 0.75}

    monkeypatch.setattr(reasons, "REASONS", (Reason("attention loss", {"astray": "elsewhere"}, measure),))
    for _ in range(2):
        reasons.look(lab, tmp_path / "r.json", lambda text: None)
    assert seen == [WHOLE, WITHOUT]  # of the other scenes there is no trial
    (row,) = reasons.gather(lab, tmp_path / "r.json")
    assert (row["claimed"], row["found"], row["found_without"]) == ([0.5, 0.4], {"astray": 0.25}, {"astray": 0.75})
    page = reasons.section([row])
    assert f"| {WHOLE.samples[0]} | +0.100 | 0.250 | 0.750 |" in page and "elsewhere, with" in page


def test_what_was_not_measured_says_nothing(lab: Lab, tmp_path: Path) -> None:
    assert reasons.section(reasons.gather(lab, tmp_path / "none.json")) == ""


def test_a_pair_that_is_painted_twice_is_measured_once() -> None:
    asked = [t for r, t in reasons._asked() if r.ablation == "orthogonal combination"]
    assert len(asked) == len(series.PAIRS) and all(t.orthogonal for t in asked)
    assert replace(asked[0], orthogonal=False) not in asked


def test_a_concepts_share_of_the_words_attention_is_looked_for_with_key_locking_and_without() -> None:
    asked = [t for r, t in reasons._asked() if r.measure is reasons.drawn]
    assert [dict(t.settings) for t in asked] == [{}, {"key_locking": False}] * len(series.SETS)
