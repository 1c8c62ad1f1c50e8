"""Teaching in earnest, by the command line or in the lab, and what the judges say of it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.lab.asked import Ask
from pipelines.lab.trials import BASELINE, Lab, Trial
from pipelines.shipped import REPOSITORY

ARTIFACTS = REPOSITORY / "test-artifacts"


def app(*arguments: str, home: Path) -> dict[str, object]:
    """Run a verb in a fresh process and return its JSON."""
    done = subprocess.run([sys.executable, "-m", "app", *arguments, "--json", "--home", str(home)],
                          cwd=REPOSITORY, capture_output=True, text=True,
                          env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _alone(shows: Sequence[int], group: str) -> bool:
    return len(shows) == 1 and group in ("plain", "styled")


def alone(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pictures that should show one learned thing and nothing else."""
    return [r for r in rows if _alone(r["shows"], r["group"])]


class AloneLab(Lab):
    """A lab that paints of a trial what `alone` takes, and no more: the rest is for the report."""

    def asks(self, trial: Trial, adapters: Sequence[Path]) -> list[Ask]:
        """The same, in the same order and with the same seeds."""
        return [a for a in super().asks(trial, adapters) if _alone(a.shows, a.group)]


def recall(rows: list[dict[str, Any]]) -> float:
    """Share of these pictures that have the right individual among the first five of the gallery."""
    return statistics.fmean(r["rank"][0] < 5 for r in alone(rows))


def scene_kept(rows: list[dict[str, Any]]) -> float:
    """Share of the plain ones among them in which the judge sees the scene that was asked for."""
    return statistics.fmean(r["right"]["scene"] for r in alone(rows) if r["group"] == "plain")


def assert_nearer(learned: list[dict[str, Any]], base: list[dict[str, Any]]) -> None:
    """The cosine to the individual rises by more than two standard errors, prompt by prompt."""
    gains = [a["cosine"][0] - b["cosine"][0] for a, b in zip(alone(learned), alone(base), strict=True)]
    print(f"gain {statistics.fmean(gains):.3f}, recall@5 {recall(learned):.2f} (base {recall(base):.2f}), "
          f"scene kept {scene_kept(learned):.2f}")
    assert statistics.fmean(gains) > 2 * statistics.stdev(gains) / len(gains) ** 0.5


@cache
def base_alone(sample: str) -> list[dict[str, Any]]:
    """What the judges say of the base without an adapter, at a sample's prompts and seeds: as the report has it, or
    painted where the base is another than the report's."""
    lab, trial = Lab(), Trial((sample,), BASELINE)
    kept = lab.find(trial)
    return kept["images"] if kept else lab.measure(trial, [])


def taught(sample: str, method: str, folder: Path) -> list[dict[str, Any]]:
    """What the judges say of a method taught one sample."""
    lab = AloneLab(folder / "trials.jsonl", folder / "work")
    images: list[dict[str, Any]] = lab.run(Trial((sample,), method), ARTIFACTS / f"{method}.png")["images"]
    return images
