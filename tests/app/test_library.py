"""The library: files are the truth; taking in, naming, deleting."""

import json
from pathlib import Path

import pytest

from adapters.errors import StudioError
from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.record import AdapterRecord
from adapters.studio_file import save
from app.home import Home
from app.library import Library
from app.studio import Studio


@pytest.fixture
def adapter_file(tmp_path: Path, host: Host, record: AdapterRecord) -> Path:
    adapter = LoraAdapter.for_training(host, rank=2, alpha=2, targets=("to_q",))
    adapter.inject(host, "adapter_0")
    path = tmp_path / "run.safetensors"
    save(path, adapter, record)
    return path


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Home.open(str(tmp_path / "home")))


def test_added_adapters_are_listed_with_a_sidecar_for_other_programs(library: Library,
                                                                     adapter_file: Path) -> None:
    library.add(adapter_file, "mycat")
    entry = library.get("mycat").as_dict()
    assert (entry["name"], entry["trigger"], entry["method"], entry["family"]) == (
        "mycat", "zok", "lora", "starter")
    sidecar = json.loads((library.folder / "mycat.json").read_text("utf-8"))
    assert sidecar["activation text"] == "zok cat"


def test_a_taken_name_gets_a_number_and_nothing_is_overwritten(library: Library, adapter_file: Path) -> None:
    library.add(adapter_file, "mycat")
    before = (library.folder / "mycat.safetensors").read_bytes()
    assert library.add(adapter_file, "MyCat").name == "MyCat-2"
    assert (library.folder / "mycat.safetensors").read_bytes() == before


def test_a_damaged_file_hides_no_other(library: Library, adapter_file: Path) -> None:
    library.add(adapter_file, "mycat")
    (library.folder / "broken.safetensors").write_bytes(b"xx")
    assert [e.name for e in library.entries()] == ["mycat"]
    assert (library.folder / "broken.safetensors").exists()


def test_deleting_moves_to_the_trash(library: Library, adapter_file: Path) -> None:
    library.add(adapter_file, "mycat")
    grave = library.delete("mycat")
    assert not library.has("mycat")
    assert {p.name for p in grave.iterdir()} == {"mycat.safetensors", "mycat.json", "mycat.md"}


@pytest.mark.parametrize("name", ["../mycat", "ghost", "a/b"])
def test_a_name_that_is_not_there_is_a_sentence(library: Library, name: str) -> None:
    with pytest.raises(StudioError):
        library.get(name)


def test_a_triggers_word_is_not_given_twice(tmp_path: Path, adapter_file: Path) -> None:
    studio = Studio(Home.open(str(tmp_path / "home")))
    studio.library.add(adapter_file, "mycat")
    assert studio.library.triggers() == {"zok"}
