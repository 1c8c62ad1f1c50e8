"""The training config with everything small."""

from pathlib import Path

import pytest

from pipelines.starter.config import CONFIG_PATH, StarterConfig

TINY = """
size = 64
[autoencoder]
channels = [8, 8, 16, 16]
[diffusion]
channels = [16, 32, 32]
text_width = 32
text_heads = 2
[pair]
image_size = 32
width = 32
layers = 1
heads = 2
projection = 16
"""


@pytest.fixture()
def config(tmp_path: Path) -> StarterConfig:
    (tmp_path / "tiny.toml").write_text(TINY)
    return StarterConfig.load(CONFIG_PATH, tmp_path / "tiny.toml")
