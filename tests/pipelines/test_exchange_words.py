"""Learned words out and in: every form, several words, names, metadata and sidecars."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from adapters.errors import StudioError
from adapters.files import read_header
from adapters.identity import BaseIdentity, Family
from adapters.record import AdapterRecord, Concept
from adapters.studio_file import load, save
from adapters.tensors import read_tensors
from adapters.tokens import TokensAdapter
from pipelines.exchange import export, import_file
from pipelines.exchange.words import widths

FORMS: list[tuple[Family, str]] = [("sd1", "diffusers"), ("sd1", "a1111"), ("starter", "a1111"), ("sd2", "diffusers"),
                                   ("sdxl", "a1111"), ("sdxl", "diffusers")]


def stored(path: Path, family: Family, words: dict[str, int]) -> TokensAdapter:
    """A studio file of random words, each of so many vectors."""
    chance = torch.Generator().manual_seed(0)
    adapter = TokensAdapter({w: [torch.randn(k, d, generator=chance) for d in widths()[family]]
                             for w, k in words.items()})
    concepts = tuple(Concept(name=w.strip("<>"), noun="cat", trigger=w, learned=True) for w in words)
    record = AdapterRecord(kind="tokens", method="textual-inversion", name="mycat", trigger=concepts[0].trigger,
                           base=BaseIdentity(family=family, name="base", hash=""), class_noun="cat",
                           concepts=concepts, spec=adapter.spec, provenance={"created": "2026-01-02T03:04:05+00:00"})
    save(path, adapter, record)
    return adapter


def same(a: TokensAdapter, b: TokensAdapter, words: dict[str, str]) -> bool:
    mine, theirs = a.vectors(), b.vectors()
    return set(theirs) == set(words.values()) and all(
        len(mine[w]) == len(theirs[v]) and all(torch.equal(x, y) for x, y in zip(mine[w], theirs[v], strict=True))
        for w, v in words.items())


@pytest.mark.parametrize(("family", "format"), FORMS)
@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("word", ["<mycat>", "<My-Cat>"])
def test_a_word_goes_out_and_comes_back_bit_by_bit(tmp_path: Path, family: Family, format: str, k: int,
                                                   word: str) -> None:
    original = stored(tmp_path / "a.safetensors", family, {word: k})
    report = export(tmp_path / "a.safetensors", format, tmp_path / "out.safetensors")
    assert (report.layers, report.unmatched, report.max_difference) == (len(widths()[family]), (), 0.0)
    assert "out.safetensors" in report.text and word.lower() in report.text
    adapter, record = import_file(tmp_path / "out.safetensors", "other")
    assert isinstance(adapter, TokensAdapter) and same(original, adapter, {word: word.lower()})
    assert (record.kind, record.method, record.base.family) == ("tokens", "imported", family)
    assert [(c.name, c.trigger, c.phrase) for c in record.concepts] == [("other", word.lower(), word.lower())]


@pytest.mark.parametrize(("family", "format"), FORMS)
def test_a_persons_word_comes_back_as_a_persons(tmp_path: Path, family: Family, format: str) -> None:
    stored(tmp_path / "a.safetensors", family, {"<ada>": 1})
    adapter, record = load(tmp_path / "a.safetensors")
    person = record.model_copy(update={"concepts": (record.concepts[0].model_copy(update={"kind": "person"}),)})
    save(tmp_path / "a.safetensors", adapter, person)
    export(tmp_path / "a.safetensors", format, tmp_path / "out.safetensors")
    again = import_file(tmp_path / "out.safetensors", "other")[1]
    assert again.shows_a_person and [(c.name, c.trigger, c.kind) for c in again.concepts] == [
        ("other", "<ada>", "person")]


@pytest.mark.parametrize("format", ["diffusers", "a1111"])
def test_several_words_go_into_a_file_each(tmp_path: Path, format: str) -> None:
    original = stored(tmp_path / "a.safetensors", "sd1", {"<mycat>": 1, "<hisDog>": 2})
    report = export(tmp_path / "a.safetensors", format, tmp_path / "out.safetensors")
    assert [f.file.name for f in report.files] == ["out.safetensors", "out-hisdog.safetensors"]
    assert "all files are needed" in report.text
    for file, word in zip(report.files, original.words, strict=True):
        assert len(read_header(file.file).tensors) == 1
        metadata = read_header(file.file).metadata
        # The record names one phrase, each file its own word.
        assert metadata["modelspec.trigger_phrase"] == word.lower()
        adapter, _ = import_file(file.file, "x")
        assert isinstance(adapter, TokensAdapter)
        assert torch.equal(adapter.vectors()[word.lower()][0], original.vectors()[word][0])


def test_a_foreign_embedding_is_called_by_its_file(tmp_path: Path) -> None:
    save_file({"emb_params": torch.ones(2, 768)}, tmp_path / "Fluffy Cat.safetensors")
    adapter, record = import_file(tmp_path / "Fluffy Cat.safetensors", "Fluffy-Cat")
    assert isinstance(adapter, TokensAdapter) and adapter.words == ("<fluffy-cat>",)
    assert record.trigger == record.phrase == "<fluffy-cat>"


@pytest.mark.parametrize(("metadata", "key", "word"), [
    ({"modelspec.trigger_phrase": "ZokCat"}, "emb_params", "<zokcat>"),
    ({}, "<cat-toy>", "<cat-toy>"), ({}, "midJourney Style", "<midjourney-style>"),
    ({"modelspec.trigger_phrase": "<<>>\n\0"}, "emb_params", "<stem>"), ({}, "*", "<stem>"),
    ({"modelspec.trigger_phrase": "x" * 9999}, "emb_params", f"<{'x' * 60}>"),
])
def test_the_word_is_the_triggers_then_the_tokens_then_the_files(tmp_path: Path, metadata: dict[str, str], key: str,
                                                                word: str) -> None:
    save_file({key: torch.ones(1, 768)}, tmp_path / "stem.safetensors", metadata)
    adapter, _ = import_file(tmp_path / "stem.safetensors", "stem")
    assert isinstance(adapter, TokensAdapter) and adapter.words == (word,)


def test_a_diffusers_file_of_several_words_keeps_them_all(tmp_path: Path) -> None:
    save_file({"<a>": torch.ones(1, 768), "<B>": torch.zeros(2, 768)}, tmp_path / "a.safetensors")
    adapter, record = import_file(tmp_path / "a.safetensors", "pair")
    assert isinstance(adapter, TokensAdapter) and set(adapter.words) == {"<a>", "<b>"}
    assert {c.name: c.phrase for c in record.concepts} == {"a": "<a>", "b": "<b>"}


def test_two_tokens_that_become_one_word_are_refused(tmp_path: Path) -> None:
    save_file({"<a>": torch.ones(1, 768), "<A>": torch.zeros(2, 768)}, tmp_path / "a.safetensors")
    with pytest.raises(StudioError, match="two words that are both '<a>'"):
        import_file(tmp_path / "a.safetensors", "a")


def test_a_pt_file_is_converted(tmp_path: Path) -> None:
    rows = torch.randn(2, 768)
    torch.save({"string_to_param": {"*": rows}, "name": "Mycat"}, tmp_path / "old.pt")
    adapter, record = import_file(tmp_path / "old.pt", "old")
    save(tmp_path / "new.safetensors", adapter, record)
    again, _ = load(tmp_path / "new.safetensors")
    assert isinstance(again, TokensAdapter) and torch.equal(again.vectors()["<mycat>"][0], rows)


@pytest.mark.parametrize("tensors", [
    {"clip_l": torch.ones(1, 768)}, {"clip_g": torch.ones(1, 1280)},
    {"<a>": torch.ones(1, 768), "<b>": torch.ones(1, 1024)}, {"emb_params": torch.ones(1, 1280)},
])
def test_words_that_fit_no_base_are_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(StudioError, match=r"'a\.safetensors' should hold"):
        import_file(tmp_path / "a.safetensors", "a")


@pytest.mark.parametrize("bad", [torch.full((1, 768), float("nan")), torch.full((1, 768), float("inf"))])
def test_vectors_that_are_no_numbers_are_refused(tmp_path: Path, bad: torch.Tensor) -> None:
    save_file({"emb_params": bad}, tmp_path / "a.safetensors")
    with pytest.raises(StudioError, match="not numbers"):
        import_file(tmp_path / "a.safetensors", "a")


@pytest.mark.parametrize("header", [
    {"emb_params": {"dtype": "F32", "shape": [1, 768], "data_offsets": [0, 1 << 40]}},
    {"emb_params": {"dtype": "F32", "shape": [-1, 768], "data_offsets": [0, 3072]}},
    {"emb_params": {"dtype": "F32", "shape": [1, 768], "data_offsets": [0, 3072]}, "__metadata__": {"a": 1}},
    {"emb_params": {"dtype": "O", "shape": [1, 768], "data_offsets": [0, 3072]}},
    {"\ud800": {"dtype": "F32", "shape": [1, 768], "data_offsets": [0, 3072]}},
])
def test_a_hostile_header_is_refused(tmp_path: Path, header: dict[str, object]) -> None:
    raw = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(3072))
    with pytest.raises(StudioError, match="not a whole safetensors file"):
        import_file(tmp_path / "a.safetensors", "a")


@pytest.mark.parametrize(("family", "architecture", "version"), [
    ("sd1", "stable-diffusion-v1", "SD1"), ("sd2", "stable-diffusion-v2-512", "SD2"),
    ("sdxl", "stable-diffusion-xl-v1-base", "SDXL"), ("starter", "semblance-starter", "Other"),
])
def test_a_words_file_says_what_it_is(tmp_path: Path, family: Family, architecture: str, version: str) -> None:
    stored(tmp_path / "a.safetensors", family, {"<mycat>": 1})
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.preview.png")
    export(tmp_path / "a.safetensors", "a1111", tmp_path / "out.safetensors")
    metadata = read_header(tmp_path / "out.safetensors").metadata
    assert metadata["modelspec.architecture"] == f"{architecture}/textual-inversion"
    assert (metadata["modelspec.title"], metadata["modelspec.trigger_phrase"]) == ("mycat", "<mycat>")
    assert metadata["modelspec.sai_model_spec"] and metadata["modelspec.implementation"]
    assert metadata["modelspec.date"] == "2026-01-02T03:04:05"
    assert metadata["modelspec.hash_sha256"].startswith("0x")
    assert metadata["modelspec.thumbnail"].startswith("data:image/jpeg;base64,")
    sidecar = json.loads((tmp_path / "out.json").read_text("utf-8"))
    # A1111 calls an embedding by its file.
    assert (sidecar["activation text"], sidecar["sd version"]) == ("out", version)
    assert (tmp_path / "out.preview.png").read_bytes() == (tmp_path / "a.preview.png").read_bytes()


def test_a_word_is_no_lora(tmp_path: Path) -> None:
    stored(tmp_path / "a.safetensors", "sd1", {"<mycat>": 1})
    with pytest.raises(StudioError, match="learned word, and kohya is a form of LoRAs; choose a1111 or diffusers"):
        export(tmp_path / "a.safetensors", "kohya", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_the_studios_own_file_goes_out_whole(tmp_path: Path) -> None:
    original = stored(tmp_path / "a.safetensors", "sd1", {"<My-Cat>": 2})
    report = export(tmp_path / "a.safetensors", "studio", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()
    assert report.files[0].matched == ("<My-Cat>.0",)
    adapter, record = import_file(tmp_path / "out.safetensors", "x")
    assert isinstance(adapter, TokensAdapter) and same(original, adapter, {"<My-Cat>": "<My-Cat>"})
    assert record.name == "mycat"


def test_an_export_that_reads_back_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path / "a.safetensors", "sd1", {"<mycat>": 1})

    def damaged(path: Path) -> object:
        header, tensors = read_tensors(path)
        return header, {k: t + 1e-3 for k, t in tensors.items()}

    monkeypatch.setattr("pipelines.exchange.words.read_tensors", damaged)
    with pytest.raises(StudioError, match="did not read back as it was written"):
        export(tmp_path / "a.safetensors", "a1111", tmp_path / "out.safetensors")


@pytest.mark.parametrize("name", ["out.json", "out.PNG"])
def test_a_sidecar_cannot_fall_on_the_file_itself(tmp_path: Path, name: str) -> None:
    stored(tmp_path / "a.safetensors", "sd1", {"<mycat>": 1})
    with pytest.raises(StudioError, match=r"ends in \.safetensors"):
        export(tmp_path / "a.safetensors", "a1111", tmp_path / name)
