"""Textual inversion and Perfusion learn a held-out individual, on the starter. Real training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.learning.tools import assert_nearer, base_alone, recall, scene_kept, taught

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("method", ["textual-inversion", "perfusion"])
def test_the_other_methods_bring_the_individual_nearer_and_keep_the_scene(method: str, tmp_path: Path) -> None:
    learned, base = taught("koala", method, tmp_path), base_alone("koala")
    assert recall(learned) > recall(base)
    assert_nearer(learned, base)
    assert scene_kept(learned) >= 0.9
