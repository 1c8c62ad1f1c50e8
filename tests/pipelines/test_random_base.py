"""A base of random weights opens as any base of its family."""

from pathlib import Path

import pytest

from adapters.errors import StudioError
from pipelines.base_models.load import load_base
from pipelines.speed import random_base
from tests.pipelines.base_models import small


def test_it_opens_as_its_family_and_takes_no_folder_that_is_there(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_base, "CONFIGS", {"sd2": small.configurations(tmp_path / "shapes", "sd2")})
    monkeypatch.setattr(random_base, "clip_tokenizer", lambda: small.tokenizer("!"))
    random_base.random_base("sd2", tmp_path / "base")
    opened = load_base(str(tmp_path / "base"))
    assert opened.identity.family == "sd2" and opened.text.tokenize(["bear"])
    with pytest.raises(StudioError, match="there already"):
        random_base.random_base("sd2", tmp_path / "base")
