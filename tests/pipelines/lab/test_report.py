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


def test_what_did_not_come_out_as_a_paper_has_it_stands_there_with_a_finding() -> None:
    kept = _kept()
    missed = [a for a in kept["ablations"] if 6 * a["in_the_claimed_direction"] < 5 * a["samples"]]
    assert [a["name"] for a in kept["ablations"] if a["finding"]] == [a["name"] for a in missed]
    assert all(f"* **{a['name']}**: {a['finding']}" in report.page(kept) for a in missed)


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


def test_whole_runs_are_told_by_method_and_what_is_missing_is_said_to_be() -> None:
    step = {"studio": 0.4, "bare": 0.4, "ratio": 1.0, "lowest": 0.9, "highest": 1.1}
    speed = {"seconds_per_step": {"lora": step, "perfusion": step}, "image_seconds": 1, "image_seconds_lora": 1,
             "switching": {"milliseconds": 1, "slowest": 1, "adapters": 1, "switches": 1, "grown_bytes": 0,
                           "identical": True},
             "machine": "m", "versions": {"torch": "1"},
             "wall_efficiency": {"lora": {"ratio": 0.876, "count": 100, "total": 45.4, "first_step": 2.8,
                                          "first_preview": 22.6, "preview_step": 50}},
             "peak_memory": {"perfusion": 312_000_000}}
    head, _, lora, perfusion = benchmarks.speed_section(speed).partition("| method | wall")[2].splitlines()[:4]
    assert head.endswith("| start to first preview | peak memory |")
    assert lora == "| `lora` | 0.88 | 100 | 45 s | 2.8 s | 22.6 s, after step 50 | not measured |"
    assert perfusion == "| `perfusion`" + " | not measured" * 5 + " | 312 MB |"
    assert "library" not in benchmarks.speed_section(speed)
    grown = benchmarks.speed_section({**speed, "library_seconds": {"1": 0.004, "10000": 2.5},
                                      "library_search_seconds": {"1": 0.001, "10000": 0.0312}})
    assert "list a library for the first time, by adapters: 1: 4, 10000: 2500." in grown
    assert "find one of them then: 1: 1, 10000: 31." in grown


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
