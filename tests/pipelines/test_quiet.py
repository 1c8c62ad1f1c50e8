"""No verb prints what libraries say to those who wrote it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.quiet import _NOTICES
from pipelines.shipped import REPOSITORY

_NOISE = ("kernels-community", "requires torchvision")
_SPEAK = """
import logging, {module}
for name, words in (("bitsandbytes.backends.cpu.ops", "Failed to load CPU gemm_4bit_forward from kernels-community"),
                    ("transformers.utils.import_utils", "`CLIPImageProcessor` requires torchvision (not installed)")):
    logging.getLogger(name).warning(words)
    logging.getLogger(name).warning("something else")
"""


@pytest.mark.parametrize("module", ["app.verbs.cli", "app.jobs.worker", "app.painting.painter_child",
                                    "app.concepts.looker_child", "app.system.base_child", "pipelines.lab.apart"])
def test_every_process_drops_these_notices_and_no_others(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", _SPEAK.format(module=module)], cwd=REPOSITORY, capture_output=True,
                          text=True, check=True)
    assert done.stderr.count("something else") == 2
    assert not [n for n in _NOISE if n in done.stderr]


def test_a_verb_that_imports_the_libraries_prints_none_of_them(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "app", "generate", "--home", str(tmp_path), "--prompt", "a cat",
                           "--steps", "1", "--out", str(tmp_path / "a.png")], cwd=REPOSITORY, capture_output=True,
                          text=True, env={**os.environ, "TRANSFORMERS_VERBOSITY": "warning"})
    assert done.returncode == 0 and (tmp_path / "a.png").is_file(), done.stderr
    assert not [n for n in _NOISE if n in done.stderr + done.stdout]


@pytest.mark.parametrize("name", _NOTICES)
def test_the_notice_is_still_made_where_it_is_dropped(name: str) -> None:
    """Where it moves it would be heard again, and nobody would know why."""
    pytest.importorskip(name.partition(".")[0])
    found = importlib.util.find_spec(name)
    assert found and found.origin and _NOTICES[name] in Path(found.origin).read_text("utf-8")
