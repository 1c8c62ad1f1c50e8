"""The library: files are the truth; taking in, naming, deleting."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.card import read_figures
from adapters.errors import StudioError
from adapters.files import read_header
from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.record import AdapterRecord, Concept
from adapters.studio_file import save
from adapters.tensors import read_tensors
from app.home import Home
from app.library.library import Library
from app.library.library_entry import Entry
from app.studio import Studio
from pipelines.shipped import REPOSITORY


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


FIGURES = {"encoder": "the judge", "images": 8, "identity": 0.7123, "prompt": None, "copied": 0.0,
           "interval": {"identity": 0.02}}


def test_renaming_takes_everything_along_and_leaves_nothing(library: Library, adapter_file: Path,
                                                            tmp_path: Path) -> None:
    (tmp_path / "preview.png").write_bytes(b"picture")
    library.add(adapter_file, "mycat", tmp_path / "preview.png")
    library.add_figures("mycat", FIGURES)
    library.remark("mycat", ["pets"], "by the window")
    (_, tensors), seen = read_tensors(library.folder / "mycat.safetensors"), library.get("mycat")
    renamed = library.rename("mycat", "Whiskers")
    assert sorted(p.name for p in library.folder.iterdir()) == [
        "Whiskers.json", "Whiskers.md", "Whiskers.preview.png", "Whiskers.safetensors"]
    _, moved = read_tensors(library.folder / "Whiskers.safetensors")
    assert (renamed.record.name, renamed.record.trigger) == ("Whiskers", "zok")
    assert moved.keys() == tensors.keys() and all(bool((t == tensors[k]).all()) for k, t in moved.items())
    assert renamed.remarks == seen.remarks and renamed.changed == seen.changed
    card = (library.folder / "Whiskers.md").read_text("utf-8")
    assert "# Whiskers" in card and "mycat" not in card and read_figures(card)["identity"] == 0.7123


def test_the_only_concept_is_renamed_along_and_its_word_stays(record: AdapterRecord) -> None:
    one = record.model_copy(update={"concepts": (Concept(name="mycat", trigger="<mycat>", learned=True),)})
    assert one.renamed("tom").concepts[0] == Concept(name="tom", trigger="<mycat>", learned=True)
    two = one.model_copy(update={"concepts": (*one.concepts, Concept(name="dog", trigger="<dog>"))})
    assert two.renamed("tom").concepts == two.concepts


@pytest.mark.parametrize("new", ["Other", "OTHER", "../x", "", "con"])
def test_a_name_that_is_taken_or_none_is_refused(library: Library, adapter_file: Path, new: str) -> None:
    library.add(adapter_file, "mycat")
    library.add(adapter_file, "other")
    before = {p.name: p.read_bytes() for p in library.folder.iterdir()}
    with pytest.raises(StudioError):
        library.rename("mycat", new)
    assert {p.name: p.read_bytes() for p in library.folder.iterdir()} == before


def test_a_rename_that_is_cut_off_loses_nothing(library: Library, adapter_file: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(adapter_file, "mycat")
    before = {p.name: p.read_bytes() for p in library.folder.iterdir()}

    def full(*_: object) -> None:
        raise StudioError("The disk is full.")

    monkeypatch.setattr("app.library.library.copy_with_metadata", full)
    with pytest.raises(StudioError, match="full"):
        library.rename("mycat", "tom")
    assert {p.name: p.read_bytes() for p in library.folder.iterdir()} == before


def test_tags_and_notes_are_kept_beside_what_other_programs_wrote(library: Library, adapter_file: Path) -> None:
    library.add(adapter_file, "mycat")
    sidecar = library.folder / "mycat.json"
    table = json.loads(sidecar.read_text("utf-8")) | {"preferred weight": 0.7, "their own": [1]}
    sidecar.write_text(json.dumps(table), "utf-8")
    entry = library.remark("mycat", [" Pets ", "pets", "soft  fur"], "sits by the window")
    assert (entry.remarks.tags, entry.remarks.notes) == (("Pets", "soft fur"), "sits by the window")
    table = json.loads(sidecar.read_text("utf-8"))
    assert (table["preferred weight"], table["their own"]) == (0.7, [1])
    assert table["notes"].endswith("sits by the window")
    assert library.remark("mycat", notes="").remarks.tags == ("Pets", "soft fur")
    assert "window" not in sidecar.read_text("utf-8")


def test_a_damaged_sidecar_is_left_as_it_is(library: Library, adapter_file: Path) -> None:
    library.add(adapter_file, "mycat")
    (library.folder / "mycat.json").write_text("{half", "utf-8")
    with pytest.raises(StudioError, match="damaged"):
        library.remark("mycat", ["pets"])
    assert (library.folder / "mycat.json").read_text("utf-8") == "{half"


@pytest.mark.parametrize("tags", [["a,b"], ["x" * 41], [str(n) for n in range(21)], ["line\nbreak\x07"], "word", [1]])
def test_what_cannot_be_a_tag_is_a_sentence(library: Library, adapter_file: Path, tags: list[str]) -> None:
    library.add(adapter_file, "mycat")
    with pytest.raises(StudioError):
        library.remark("mycat", tags)


@pytest.mark.parametrize(("text", "found"), [("myc", True), ("ZOK cat", True), ("starter", True), ("pets", True),
                                             ("lora tiny", True), ("dog", False), ("zok dog", False)])
def test_a_search_looks_at_name_trigger_noun_method_base_and_tags(library: Library, adapter_file: Path, text: str,
                                                                  found: bool) -> None:
    library.add(adapter_file, "mycat")
    library.remark("mycat", ["Pets"])
    assert [e.name for e in library.search(text)] == ["mycat"] * found
    assert [e.name for e in library.search(tag="pets")] == ["mycat"] and not library.search(tag="pet")
    assert library.tags() == {"Pets": 1}


def test_the_index_sees_every_change_and_reads_only_what_changed(library: Library, adapter_file: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    from app.library import library_index

    for name in ("one", "two"):
        library.add(adapter_file, name)
    read: list[str] = []
    real = library_index.read_entry
    monkeypatch.setattr(library_index, "read_entry", lambda path: read.append(path.stem) or real(path))
    library.entries()
    assert sorted(read) == ["one", "two"]
    library.entries()
    assert len(read) == 2
    library.remark("one", ["pets"])
    library.add_figures("two", FIGURES)
    assert {e.name: (e.remarks.tags, e.figures.get("identity")) for e in library.entries()} == {
        "one": (("pets",), None), "two": ((), 0.7123)}
    # Another file of the same size and time is another file.
    path = library.folder / "one.safetensors"
    stat = path.stat()
    (library.folder / "new").write_bytes(path.read_bytes().replace(b"zok", b"kaz"))
    os.utime(library.folder / "new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (library.folder / "new").replace(path)
    assert next(e for e in library.entries() if e.name == "one").record.trigger == "kaz"
    library.delete("two")
    assert [e.name for e in library.entries()] == ["one"]


def test_ten_thousand_adapters_are_searched_at_once(library: Library, record: AdapterRecord,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """With files that are not read: the question is what a search costs once they were."""
    monkeypatch.setattr("app.library.library_index.read_entry", lambda path: Entry(path, record, path.stem))
    for n in range(10_000):
        for ending in (".safetensors", ".json", ".md"):
            (library.folder / f"a{n}{ending}").touch()
    assert len(library.entries()) == 10_000
    started = time.process_time()
    assert [e.name for e in library.search("A9999 zok")] == ["a9999"]
    assert time.process_time() - started < 1


def test_what_was_deleted_comes_back_whole(library: Library, adapter_file: Path) -> None:
    library.add(adapter_file, "mycat")
    library.remark("mycat", ["pets"])
    before = {p.name: p.read_bytes() for p in library.folder.iterdir()}
    grave = library.delete("mycat")
    assert [(d.id, d.name) for d in library.deleted()] == [(grave.name, "mycat")]
    assert library.restore(grave.name).remarks.tags == ("pets",)
    assert {p.name: p.read_bytes() for p in library.folder.iterdir()} == before
    assert library.deleted() == [] and not grave.exists()


def test_two_of_one_name_deleted_in_a_second_both_come_back(library: Library, adapter_file: Path) -> None:
    graves = []
    for tag in ("first", "second"):
        library.add(adapter_file, "mycat")
        library.remark("mycat", [tag])
        graves.append(library.delete("mycat").name)
    back = [library.restore(g) for g in graves]
    assert [(e.name, e.record.name, e.remarks.tags) for e in back] == [
        ("mycat", "mycat", ("first",)), ("mycat-2", "mycat-2", ("second",))]


@pytest.mark.parametrize("id", ["../adapters", "20260101-000000-ghost", "drafts", ""])
def test_only_what_is_in_the_trash_comes_back(library: Library, id: str) -> None:
    (library.trash / "drafts").mkdir(parents=True)
    with pytest.raises(StudioError, match="not in the trash"):
        library.restore(id)


def test_two_files_of_one_name_never_meet(library: Library) -> None:
    with library.new_file("mycat") as first, library.new_file("mycat") as second:
        assert first.name == "mycat.safetensors" and second.name == "mycat-2.safetensors"
    with pytest.raises(StudioError), library.new_file("tom"):
        raise StudioError("no")
    assert not (library.folder / "tom.safetensors").exists()


HOLDER = """
import sys, time
from app.home import Home
from app.library.library import Library

with Library(Home.open(sys.argv[1])).new_file("mycat"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_name_is_free_as_soon_as_the_process_that_held_it_is_killed(library: Library, adapter_file: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(library.folder.parent)], cwd=REPOSITORY,
                          stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout and holder.stdout.readline() == b"held\n"
            assert library.has("MyCat") and library.free_name("mycat") == "mycat-2"
            other = library.add(adapter_file, "tom").name
            with pytest.raises(StudioError, match="'mycat' already"):
                library.rename(other, "mycat")
        finally:
            holder.kill()
    assert not library.has("mycat") and library.rename("tom", "mycat").name == "mycat"
    assert [p.name for p in library.folder.iterdir() if p.suffix in (".tmp", ".safetensors")] == ["mycat.safetensors"]


def test_many_that_want_one_name_each_get_another(library: Library, adapter_file: Path) -> None:
    names = ("mycat", "MyCat", "MYCAT") * 8
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda name: Library(Home(library.folder.parent)).add(adapter_file, name).name, names))
    assert len({name.lower() for name in got}) == len(names) == len(library.entries())


def test_an_empty_file_holds_no_name_and_an_old_adapter_its_own(library: Library, adapter_file: Path) -> None:
    (library.folder / "tom.safetensors").touch()
    assert library.add(adapter_file, "tom").name == "tom"
    os.utime(library.folder / "tom.safetensors", (0, 0))
    assert library.has("tom")
    assert library.rename("tom", "TOM").name == "TOM" and [e.name for e in library.entries()] == ["TOM"]


def test_a_copied_header_keeps_the_tensors_bytes(library: Library, adapter_file: Path) -> None:
    from adapters.files import copy_with_metadata

    out = library.folder / "copy.safetensors"
    copy_with_metadata(adapter_file, out, {"x": "ü"})
    assert read_header(out).metadata == {"x": "ü"} and read_header(out).tensors == read_header(adapter_file).tensors
    body = adapter_file.read_bytes()
    assert out.read_bytes().endswith(body[8 + int.from_bytes(body[:8], "little"):])
