"""The verb `bench`, as it is run in a hurry. Real steps and pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.methods import METHODS
from pipelines.shipped import REPOSITORY


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
