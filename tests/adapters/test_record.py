from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from adapters.errors import StudioError
from adapters.record import FORMAT_VERSION, HEADER_KEY, AdapterRecord, read_record
from adapters.studio_file import load
from adapters.tensors import write_tensors


def test_a_record_comes_back_equal(record: AdapterRecord) -> None:
    full = record.model_copy(update={"spec": {"ranks": [4]}, "provenance": {"x": [1.5, None]}})
    metadata = full.to_metadata()
    assert all(isinstance(v, str) for v in metadata.values())
    assert AdapterRecord.from_metadata(metadata, "f") == full


def test_no_record_is_none() -> None:
    assert AdapterRecord.from_metadata({"other": "x"}, "f") is None


def test_the_phrase_is_trigger_and_noun(record: AdapterRecord) -> None:
    assert record.phrase == "zok cat"
    assert record.model_copy(update={"trigger": ""}).phrase == "cat"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "{}", "[" * 50_000,
                                  '{"format_version": "x"}', '{"format_version": 1, "kind": "lora"}'])
def test_a_damaged_record_is_refused(text: str) -> None:
    with pytest.raises(StudioError, match="header of 'f' is damaged"):
        AdapterRecord.from_metadata({HEADER_KEY: text}, "f")


def test_a_later_format_asks_for_an_update(record: AdapterRecord) -> None:
    later = {**record.model_dump(), "format_version": FORMAT_VERSION + 1}
    with pytest.raises(StudioError, match="update the studio"):
        AdapterRecord.from_metadata({HEADER_KEY: json.dumps(later)}, "f")


def test_an_unknown_kind_asks_for_an_update(record: AdapterRecord, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"x": torch.ones(1)}, record.model_copy(update={"kind": "future"}).to_metadata())
    assert read_record(path).kind == "future"
    with pytest.raises(StudioError, match="'future' adapter"):
        load(path)


def test_a_foreign_file_has_no_record(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", {"x": torch.ones(1)}, {})
    with pytest.raises(StudioError, match="not made by this studio"):
        load(tmp_path / "a.safetensors")
