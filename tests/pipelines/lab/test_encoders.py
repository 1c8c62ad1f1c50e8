"""What judges pictures is opened from this machine; the hub is asked only for what is missing, and may be."""

from __future__ import annotations

import pytest

from adapters.errors import StudioError
from pipelines.lab.encoders import _opened


@pytest.mark.parametrize(("there", "offline", "asked"), [
    (True, False, [True]), (True, True, [True]), (False, False, [True, False])])
def test_the_hub_is_asked_for_what_is_missing_alone(there: bool, offline: bool, asked: list[bool]) -> None:
    tries: list[bool] = []

    def read(here: bool) -> str:
        tries.append(here)
        if here and not there:
            raise OSError("not in the cache")
        return "parts"

    assert _opened(read, "someone/clip", "a CLIP model", offline) == "parts"
    assert tries == asked


@pytest.mark.parametrize(("place", "offline"), [("someone/clip", True), (".", False)])
def test_offline_and_for_a_folder_nothing_is_asked(place: str, offline: bool) -> None:
    def read(here: bool) -> None:
        assert here
        raise OSError("no config.json")

    with pytest.raises(StudioError, match="should be a CLIP model"):
        _opened(read, place, "a CLIP model", offline)
