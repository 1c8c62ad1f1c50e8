"""Trials: what their figures depend on, that they are kept, and how tables read them. Nothing is trained here."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines.lab import asked, series, trials
from pipelines.lab.asked import Ask
from pipelines.lab.claims import ablation_row, alike, came_out, held
from pipelines.lab.tables import LEARNED, figures, method_table
from pipelines.lab.trials import Lab, Sample, Trial
from pipelines.starter.likeness import Retrieval

KOALA = Trial(("koala",), "perfusion")


class Reads:
    """A judge's reading that says what it is told."""

    def __init__(self, scene: str, style: str = "drawn", nouns: tuple[str, ...] = ()) -> None:
        self.scene, self.style, self._nouns = scene, style, nouns

    def nouns(self, count: int) -> set[str]:
        return set(self._nouns[:count])


def test_a_trials_key_changes_with_all_that_its_figures_depend_on() -> None:
    others = [replace(KOALA, seed=1), replace(KOALA, samples=("unicorn",)), replace(KOALA, method="lora"),
              replace(KOALA, preset="fast"), replace(KOALA, settings=(("bias", 0.6),)),
              replace(KOALA, dials=(("bias", 0.6),)), replace(KOALA, orthogonal=False)]
    keys = [t.key("base") for t in (KOALA, *others)] + [KOALA.key("other base")]
    assert len(set(keys)) == len(keys)
    assert KOALA.key("base") == Trial(("koala",), "perfusion").key("base")


def test_dials_share_one_training() -> None:
    turned = replace(KOALA, dials=(("bias", 0.6),), orthogonal=False)
    assert turned.training_key("koala", "base") == KOALA.training_key("koala", "base")
    assert turned.key("base") != KOALA.key("base")


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """Trials that were painted; nothing is, and the judge says the same of all."""
    seen: list[Trial] = []

    def paint(self: Lab, trial: Trial, adapters: Any) -> Any:
        seen.append(trial)
        return [Image.new("RGB", (64, 64))], [Ask("a cat", 0, "plain", (0,), "beach")]

    monkeypatch.setattr(Lab, "paint", paint)
    row = {"group": "plain", "shows": [0], "right": {}, "cosine": [0.5], "rank": [1]}
    monkeypatch.setattr(Lab, "judge", lambda *a: [row])
    monkeypatch.setattr(Lab, "base", "b")
    return seen


def test_what_was_run_is_kept_and_not_run_again(tmp_path: Path, painted: list[Trial]) -> None:
    kept = tmp_path / "trials.jsonl"
    trial = Trial(("koala",), trials.BASELINE)
    first = Lab(kept, tmp_path).run(trial)
    again = Lab(kept, tmp_path).run(trial)
    assert painted == [trial] and first == again
    assert [json.loads(x)["key"] for x in kept.read_text().splitlines()] == [trial.key("b")]


def test_two_processes_keep_each_others_trials(tmp_path: Path, painted: list[Trial]) -> None:
    one, two = (Lab(tmp_path / "trials.jsonl", tmp_path) for _ in range(2))
    koala, unicorn = (Trial((name,), trials.BASELINE) for name in ("koala", "unicorn"))
    assert one.find(koala) is None and two.find(unicorn) is None  # both have read the file
    one.run(koala)
    two.run(unicorn)
    assert one.find(koala) and one.find(unicorn) and two.find(koala)
    two.run(koala)
    assert painted == [koala, unicorn]


def test_a_trial_that_another_process_is_at_is_left_to_it(tmp_path: Path, painted: list[Trial]) -> None:
    one, two = (Lab(tmp_path / "trials.jsonl", tmp_path) for _ in range(2))
    trial = Trial(("koala",), trials.BASELINE)
    with one._lock(trial.key("b")):
        assert two.run(trial) is None and not painted
    assert two.run(trial) and painted == [trial]


def test_a_single_concept_is_asked_for_plainly_in_styles_and_beside_things() -> None:
    asks = asked.single("zok bear", "bear")
    assert [sum(a.group == g for a in asks) for g in ("plain", "styled", "beside", "class")] == [8, 8, 8, 4]
    assert len({(a.text, a.seed) for a in asks}) == len(asks)
    assert all("zok bear" in a.text for a in asks if a.shows) and not any("zok" in a.text for a in asks if not a.shows)
    assert not any(a.companion == "rocket" for a in asked.single("zok rocket", "rocket"))


def test_several_concepts_are_asked_for_alone_and_in_every_combination_and_order() -> None:
    asks = asked.several(["<a>", "<b>", "<c>"], "snow")
    for alone in ((0,), (1,), (2,)):
        groups = Counter(a.group for a in asks if a.shows == alone)
        assert groups == {"plain": 4, "styled": 3, "beside": 3, "free": 2}
    assert {a.shows for a in asks if len(a.shows) == 2} == set(itertools.permutations(range(3), 2))
    assert {a.shows for a in asks if len(a.shows) == 3} == {(0, 1, 2), (2, 1, 0)}
    named = [re.findall("<.>", a.text) for a in asks]
    assert named == [[f"<{'abc'[n]}>" for n in a.shows] for a in asks]  # who is asked for on the left is named first
    assert len({(a.text, a.seed) for a in asks}) == len(asks)
    assert not any("snow" in a.text for a in asks if a.companion != "snowman")  # the scene that it was learned in
    assert all((a.scene == "") == (a.group == "free") for a in asks)


@pytest.mark.parametrize("samples", [("koala",), ("scenes/koala-firetruck",), ("koala", "firetruck")])
def test_one_of_several_counts_where_it_is_clearest_and_what_comes_along_is_told(
        samples: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    class Likes:
        """The whole picture is .1 like anything, the third crop .7 like a koala, the fourth .4 like a fire truck."""

        def retrieve(self, images: list[Image.Image], glyph: str) -> Retrieval:
            found, koala = [0.1] * len(images), glyph == Sample("koala").glyphs[0]
            if len(images) > 1:
                found[2 if koala else 3] = 0.7 if koala else 0.4
            return Retrieval(list(range(len(images))), found)

    learned = Sample("scenes/koala-firetruck").about["scene"]
    monkeypatch.setattr(trials, "read", lambda judge, images: [Reads(learned)] * len(images))
    monkeypatch.setattr(trials, "load_scene_judge", lambda: None)
    lab = Lab()
    lab.__dict__["gallery"] = Likes()
    trial = Trial(samples, trials.BASELINE)
    row = lab.judge(trial, [Image.new("RGB", (64, 64))], [Ask("", 0, "free", (0,), "")])[0]
    if trial.of_several:
        assert (row["cosine"], row["rank"], row["others"]) == ([0.7], [2], [0.4])
    else:
        assert (row["cosine"], row["rank"]) == ([0.1], [0]) and "others" not in row
    assert row.get("learned_scene") == (True if samples == ("scenes/koala-firetruck",) else None)
    assert row["right"] == {} == row["margin"]


def test_the_verdict_counts_only_what_was_asked() -> None:
    plain = Ask("", 0, "plain", (0,), "beach")
    assert plain.verdict(Reads("beach", "pixel")) == {"scene": True}  # type: ignore[arg-type]
    styled = Ask("", 0, "styled", (0,), "beach", style="pixel")
    assert styled.verdict(Reads("city", "pixel")) == {"scene": False, "style": True}  # type: ignore[arg-type]
    beside = Ask("", 0, "beside", (0,), "beach", companion="car")
    assert beside.verdict(Reads("beach", nouns=("bear", "car"))) == {"scene": True, "companion": True}  # type: ignore[arg-type]
    assert not beside.verdict(Reads("beach", nouns=("bear", "cat", "car")))["companion"]  # type: ignore[arg-type]


def _line(method: str, cosine: float, right: bool, sample: str = "koala", seconds: float = 10.0) -> dict[str, Any]:
    rows = [{"group": "plain", "shows": [0], "right": {"scene": right}, "margin": {"scene": 4.0 if right else -2.0},
             "cosine": [cosine], "rank": [0]},
            {"group": "together", "shows": [0, 1], "right": {"scene": True}, "cosine": [cosine, 0.0], "rank": [9, 0]},
            {"group": "class", "shows": [], "right": {"scene": False}, "cosine": [1.0], "rank": [0]}]
    return {"samples": [sample], "method": method, "images": rows, "train_seconds": seconds, "bytes": 2000, "dials": {}}


def test_figures_leave_class_pictures_out() -> None:
    found = figures(_line("lora", 0.5, True))
    assert found == {"identity": 0.5, "together": 0.25, "prompt": 1.0, "recall5": pytest.approx(2 / 3), "margin": 4.0,
                     "others": None, "apart": None, "elsewhere": None}


def test_figures_tell_what_came_along() -> None:
    line = _line("break-a-scene", 0.5, True)
    line["images"] += [{"group": "free", "shows": [0], "right": {}, "margin": {}, "cosine": [0.7], "rank": [0],
                        "others": [0.2, 0.4], "learned_scene": True},
                       {"group": "free", "shows": [1], "right": {}, "margin": {}, "cosine": [0.6], "rank": [0],
                        "others": [0.0, 0.2], "learned_scene": False}]
    found = figures(line)
    assert (found["identity"], found["others"], found["elsewhere"]) == (
        pytest.approx(0.6), pytest.approx(0.2), 0.5)
    assert found["apart"] == pytest.approx((0.7 - 0.2 + 0.7 - 0.4 + 0.6 - 0.0 + 0.6 - 0.2) / 4)
    assert found["prompt"] == 1.0 and found["margin"] == 4.0


def test_an_ablations_row_counts_the_samples_that_go_the_papers_way() -> None:
    pairs = [(_line("a", 0.7, True), _line("a", 0.4, True)), (_line("a", 0.3, True), _line("a", 0.5, False))]
    row = ablation_row("masks", "claim", held("identity", [(figures(a), figures(b)) for a, b in pairs]))
    assert row[6] == "1 of 2" and row[5].startswith("0.050 +- ")
    assert "prompt +0.250" in row[7]


def _curve(*points: tuple[float, float]) -> list[dict[str, float | None]]:
    return [{**dict.fromkeys(LEARNED), "identity": likeness, "margin": margin} for likeness, margin in points]


def test_two_curves_are_held_against_each_other_where_their_likeness_is_the_same() -> None:
    """One is a line, the other the same line one higher, over other likenesses and in another order."""
    whole, without = _curve((0.8, 3.0), (0.2, 9.0)), _curve((0.4, 6.0), (1.0, 0.0), (0.6, 4.0))
    a, b = alike(whole, without) or ({}, {})
    assert a["identity"] == pytest.approx(0.6) and b["identity"] == pytest.approx(0.6)
    assert a["margin"] == pytest.approx(5.0) and b["margin"] == pytest.approx(4.0)
    assert "recall5" not in a
    assert alike(whole, _curve((0.9, 1.0), (0.95, 2.0))) is None


def test_a_claim_along_a_curve_counts_a_sample_once_and_only_when_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = next(a for a in series.ablations() if a.dials)
    assert [len(each) for each in claim.by_sample()] == [len(series.CLOSING)] * len(series.SETS)
    missing = next(claim.pairs())[1]

    def find(trial: Trial) -> dict[str, Any] | None:
        bias = float(dict(trial.dials)["bias"])
        line = _line("perfusion", 1 - bias / 2, True)
        line["images"][0]["margin"] = {"scene": 2 * bias + (trial.settings == ())}
        return None if trial == missing else line

    lab = Lab()
    monkeypatch.setattr(lab, "find", find)
    found = came_out(lab, claim)
    assert found and (found.right, found.samples) == (5, 5) and found.beside["identity"] == pytest.approx(0)


def test_the_method_table_has_a_row_for_each_sample_and_one_over_all() -> None:
    table = method_table([_line("lora", 0.5, True), _line("lora", 0.7, True, "unicorn"), _line("none", 0.1, True)])
    assert "| koala | lora | 1 | 0.500" in table
    assert "| **all sets** | lora | 2 | 0.600" in table
    assert "2 kB" in table


def test_every_series_names_samples_that_are_here() -> None:
    everything = [*series.methods(), *series.bias_curve(), *series.tuning(),
                  *(t for a in series.ablations() for pair in a.pairs() for t in pair)]
    for name in {s for t in everything for s in t.samples}:
        assert Sample(name).pictures and len(Sample(name).nouns) == len(Sample(name).glyphs)
    held = {g for n in (*series.DEVELOPMENT_SETS, *series.DEVELOPMENT_SCENES) for g in Sample(n).glyphs}
    assert held.isdisjoint({g for n in series.SETS for g in Sample(n).glyphs})
