"""The verb `bench`, as it is run in a hurry. Real steps and pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.verbs import bench_verb
from app.verbs.cli import main
from pipelines.methods import METHODS
from pipelines.shipped import REPOSITORY
from pipelines.speed import measure


@pytest.mark.slow
def test_a_quick_bench_says_the_loop_efficiency_of_each_method(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "app", "bench", "--quick", "--json", "--home", str(tmp_path)],
                          cwd=REPOSITORY, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found["loop_efficiency"]) == set(METHODS) == set(found["seconds_per_step"])
    assert all(isinstance(e, float) and e > 0 for e in found["loop_efficiency"].values())
    assert set(found["library_seconds"]) == {"1", "100"} == set(found["library_search_seconds"])
    assert all(seconds > 0 for seconds in found["library_search_seconds"].values())
    assert found["switching"]["identical"] is True


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *options: str) -> int:
    """The verb with a stand-in for what measures, on a report of its own."""
    monkeypatch.setattr(bench_verb, "REPORT", tmp_path)
    monkeypatch.setattr(bench_verb, "SIZES", (1, 3))
    monkeypatch.setattr(measure, "measure", lambda quick, say, parts: {
        "machine": "m", "base": "b", "versions": {}, **{p: "new" for p in parts if p != "library"}})
    return main(["bench", "--home", str(tmp_path / "home"), *options])


def test_figures_are_kept_beside_those_of_the_other_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = {"machine": "m", "base": "b", "versions": {}, "loops": "old", "memory": "old"}
    (tmp_path / "speed.json").write_text(json.dumps(kept))
    assert run(monkeypatch, tmp_path, "--only", "memory", "library") == 0
    assert json.loads((tmp_path / "speed.json").read_text()) == kept  # not asked for
    assert run(monkeypatch, tmp_path, "--write", "--only", "memory", "library") == 0
    found = json.loads((tmp_path / "speed.json").read_text())
    assert (found["loops"], found["memory"]) == ("old", "new")
    assert set(found["library_seconds"]) == {"1", "3"} == set(found["library_search_seconds"])


def test_figures_of_another_machine_are_not_mixed_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "speed.json").write_text(json.dumps({"machine": "other", "base": "b", "versions": {}}))
    assert run(monkeypatch, tmp_path, "--write", "--only", "memory") == 2
    assert "measure all of it anew" in capsys.readouterr().err


def test_whole_runs_need_the_loops(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, tmp_path, "--only", "runs") == 2
    assert "name 'loops' too" in capsys.readouterr().err
