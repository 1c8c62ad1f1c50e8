"""The training config."""

from pathlib import Path

import pytest

from adapters.errors import StudioError
from pipelines.starter.config import CONFIG_PATH, StarterConfig


def test_a_config_with_a_wrong_key_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[pair]\nsteps = 3\nstep = 4\n")
    with pytest.raises(StudioError, match=r"pair\.step"):
        StarterConfig.load(CONFIG_PATH, tmp_path / "wrong.toml")
