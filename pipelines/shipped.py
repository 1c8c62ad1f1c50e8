"""What comes with the project, and where it lies."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
ASSETS = REPOSITORY / "assets"
SAMPLES = ASSETS / "samples"
PRESETS = ASSETS / "presets"
STYLES = ASSETS / "styles.json"
REPORT = REPOSITORY / "docs" / "report"
STARTER = ASSETS / "starter"
"""The folder that `python -m pipelines.starter.train` writes: pipeline, judges, evaluation set, words, model card."""
JUDGES = STARTER / "judges"
"""Two small networks trained apart from the base, by which it and what it learns are measured."""
