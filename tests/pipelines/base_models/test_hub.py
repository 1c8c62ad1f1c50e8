"""How far a download is reaches the run's events."""

from __future__ import annotations

from pipelines.base_models.hub import telling


def test_a_download_says_how_far_it_is_and_counts_of_files_say_nothing() -> None:
    told: list[str] = []
    bar = telling("someone/model", told.append)
    with bar(total=3, unit="it", disable=True) as files:
        files.update(1)
    assert not told
    with bar(total=2_000_000, unit="B", unit_scale=True) as data:
        data.update(500_000)
        data.update(500_000)  # within the same second
    assert told == ["Downloading 'someone/model', 0 of 2 MB"]
