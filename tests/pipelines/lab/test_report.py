"""The report and the README say what was measured, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import StudioError
from pipelines.lab import benchmarks, report
from pipelines.lab.trials import Lab
from pipelines.shipped import REPORT, REPOSITORY

README = (REPOSITORY / "README.md").read_text("utf-8")


def _kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REPORT / "figures.json").read_text("utf-8"))
    return found


def test_every_figure_of_the_readmes_table_is_the_reports() -> None:
    block = README.partition(report.MARKS[0])[2].partition(report.MARKS[1])[0]
    assert block and block == report.readme_block(_kept())


def test_the_reports_page_is_made_of_its_figures() -> None:
    assert (REPORT / "README.md").read_text("utf-8") == report.page(_kept())


def test_the_benchmarks_page_is_made_of_the_reports_figures() -> None:
    assert (REPOSITORY / "docs" / "benchmarks.md").read_text("utf-8") == benchmarks.page(_kept())


def test_the_reports_figures_follow_from_what_was_kept() -> None:
    assert json.loads(json.dumps(report.gather(Lab(), REPORT))) == _kept()


def _score(mean: float) -> dict[str, Any]:
    return {"mean": mean, "interval": 0.1, "n": 6}


def _figures(likeness: float) -> dict[str, Any]:
    told = {"samples": 6, "trials": 18, "seconds": 80.0, "bytes": 5000, "identity": _score(likeness),
            "gain": _score(0.3), "recall5": _score(0.9), "prompt": _score(0.8), "margin": _score(5.0)}
    base = {**told, "seconds": None, "bytes": 0}
    return {"base": "b", "trials": 18, "of": 30, "methods": {"sets": {"none": base, "lora": told}}, "curve": {},
            "tuning": {}, "ablations": [], "reasons": [], "starter": {}, "speed": {}, "peers": {}}


def test_a_figure_that_changes_changes_the_pages() -> None:
    before, after = _figures(0.5), _figures(0.6)
    assert "0.500 +- 0.100" in report.readme_block(before) and "0.500" not in report.readme_block(after)
    assert "0.600 +- 0.100" in report.page(after)
    assert "12 of 30 trials" in report.page(before)


def test_a_curve_takes_the_place_of_its_point() -> None:
    figures = _figures(0.5)
    figures["methods"]["sets"]["perfusion"] = figures["methods"]["sets"]["lora"]
    assert [p.label for p in report.points(figures)] == ["base alone", "lora", "perfusion"]
    figures["curve"] = {"bias 0.3": figures["methods"]["sets"]["lora"], "bias 0.6": figures["methods"]["sets"]["lora"]}
    assert [p.label for p in report.points(figures)] == ["base alone", "lora", "bias 0.3", "bias 0.6"]


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    told = "before\n" + report.MARKS[0] + "old\n" + report.MARKS[1] + "\nafter"
    assert report.with_block(told, "new\n") == told.replace("old", "new")
    with pytest.raises(StudioError, match="marks"):
        report.with_block("no marks", "new\n")


def test_writing_makes_the_pages_from_what_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lab, "base", "none like it")
    (tmp_path / "starter.json").write_text('{"class": 0.5}')
    readme = tmp_path / "README"
    readme.write_text(report.MARKS[0] + report.MARKS[1])
    report.write(Lab(tmp_path / "trials.jsonl"), tmp_path, readme, tmp_path)
    assert "| class | 0.5 |" in (tmp_path / "README.md").read_text("utf-8")
    assert "not measured on this base" in (tmp_path / "benchmarks.md").read_text("utf-8")
    assert "No trial has been run" in readme.read_text("utf-8")
