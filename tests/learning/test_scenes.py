"""Break-A-Scene learns two held-out individuals from one picture, on the starter. Real training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.learning.tools import assert_nearer, base_alone, recall, taught

pytestmark = pytest.mark.slow


def test_break_a_scene_brings_each_individual_of_a_scene_nearer(tmp_path: Path) -> None:
    """How far it keeps what else is asked for is a figure of the report (prompt), not a claim of this test."""
    learned, base = taught("scenes/koala-firetruck", "break-a-scene", tmp_path), base_alone("scenes/koala-firetruck")
    assert recall(learned) > recall(base)
    assert_nearer(learned, base)
