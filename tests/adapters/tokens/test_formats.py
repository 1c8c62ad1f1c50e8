"""Embedding files of every form: exact there and back, and nothing in them is run."""

from __future__ import annotations

import copy
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

from adapters.errors import StudioError
from adapters.host import Host
from adapters.tensors import read_tensors, write_tensors
from adapters.tokens import TokensAdapter, a1111_format, diffusers_format, pickle_format, sdxl_format
from adapters.tokens.vectors import MAX_VECTORS
from pipelines.base_models.clip_vocabulary import clip_tokenizer

CODECS = {"diffusers": diffusers_format, "a1111": a1111_format, "sdxl": sdxl_format}


def vectors(form: str, k: int) -> tuple[torch.Tensor, ...]:
    chance = torch.Generator().manual_seed(k)
    return tuple(torch.randn(k, d, generator=chance) for d in ((768, 1280) if form == "sdxl" else (768,)))


def equal(a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("form", CODECS)
@pytest.mark.parametrize("k", [1, 5, MAX_VECTORS])
@pytest.mark.parametrize("word", ["<mycat>", "<My-Cat>"])
def test_each_form_goes_there_and_back_bit_by_bit(tmp_path: Path, form: str, k: int, word: str) -> None:
    rows = vectors(form, k)
    write_tensors(tmp_path / "a.safetensors", CODECS[form].encode(word, rows), {"format": "pt"})
    read = CODECS[form].decode(read_tensors(tmp_path / "a.safetensors")[1], "a")
    assert equal(next(iter(read.values())), rows)
    assert set(read) == ({word.lower()} if form == "diffusers" else {""})


def test_the_keys_are_those_that_other_programs_look_for() -> None:
    assert set(a1111_format.encode("<w>", vectors("a1111", 2))) == {"emb_params"}
    assert set(sdxl_format.encode("<w>", vectors("sdxl", 2))) == {"clip_l", "clip_g"}
    assert set(diffusers_format.encode("<W>", vectors("diffusers", 2))) == {"<w>"}


def test_half_precision_and_single_vectors_are_read_exactly() -> None:
    half = torch.randn(768).half()
    (rows,) = a1111_format.decode({"<w>": half}, "a")["<w>"]
    assert rows.shape == (1, 768) and rows.dtype == torch.float32 and torch.equal(rows[0].half(), half)


@pytest.mark.parametrize("form", CODECS)
@pytest.mark.parametrize("bad", [
    torch.ones(0, 768), torch.ones(MAX_VECTORS + 1, 768), torch.ones(2, 2, 768), torch.tensor(1.0),
    torch.ones(2, 768, dtype=torch.int64), torch.full((2, 768), float("nan")), torch.full((2, 768), float("inf")),
    "a text", torch.ones(2, 768).to_sparse(), torch.ones(2, 768, device="meta"),
], ids=["empty", "long", "deep", "number", "whole", "nan", "inf", "text", "sparse", "meta"])
def test_vectors_that_cannot_be_are_refused(form: str, bad: Any) -> None:
    tensors = {"clip_l": bad, "clip_g": torch.ones(2, 1280)} if form == "sdxl" else {"<w>": bad}
    with pytest.raises(StudioError, match="'a' should hold"):
        CODECS[form].decode(tensors, "a")


@pytest.mark.parametrize("tensors", [
    {"clip_l": torch.ones(1, 768)}, {"clip_l": torch.ones(1, 768), "clip_g": torch.ones(2, 1280)},
    {"clip_l": torch.ones(1, 1280), "clip_g": torch.ones(1, 768)},
])
def test_halves_of_an_sdxl_word_that_do_not_belong_together_are_refused(tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(StudioError, match="'a' should hold"):
        sdxl_format.decode(tensors, "a")


def test_words_are_written_only_in_forms_that_hold_them() -> None:
    with pytest.raises(StudioError, match="SDXL form"):
        a1111_format.encode("<w>", vectors("sdxl", 1))
    with pytest.raises(StudioError, match="another form"):
        sdxl_format.encode("<w>", vectors("a1111", 1))


# diffusers' own loader


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("word", ["<mycat>", "<My-Cat>"])
def test_diffusers_reads_our_file_and_says_the_same(host: Host, tmp_path: Path, k: int, word: str) -> None:
    rows = torch.randn(k, 24, generator=torch.Generator().manual_seed(1))
    write_tensors(tmp_path / "w.safetensors", diffusers_format.encode(word, (rows,)), {"format": "pt"})
    pipe = StableDiffusionPipeline(
        vae=host.vae, tokenizer=clip_tokenizer(), scheduler=host.scheduler, unet=host.unet,
        text_encoder=copy.deepcopy(host.text_encoder), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False)
    pipe.load_textual_inversion(str(tmp_path), weight_name="w.safetensors", local_files_only=True)
    theirs, _ = pipe.encode_prompt(f"a photo of {word.lower()} here", "cpu", 1, False)
    plain = host.text.encode_prompts(["a photo of here"]).states
    adapter = TokensAdapter({word: [rows]})
    adapter.inject(host, "a")
    ours = host.text.encode_prompts([f"a photo of {word} here"]).states
    assert (ours - theirs).abs().max() < 1e-6 < (ours - plain).abs().max()


# PyTorch's own form


def a1111_pt(rows: torch.Tensor, name: str = "mycat") -> dict[str, Any]:
    return {"string_to_token": {"*": 265}, "string_to_param": {"*": rows}, "name": name, "step": 500,
            "sd_checkpoint": None, "sd_checkpoint_name": None}


@pytest.mark.parametrize("zipped", [True, False])
def test_embeddings_of_pytorch_are_read_exactly(tmp_path: Path, zipped: bool) -> None:
    (rows,), (left, right) = vectors("a1111", 3), vectors("sdxl", 2)
    for content, words in ((a1111_pt(torch.nn.Parameter(rows)), {"mycat": (rows,)}),
                           ({"<mycat>": rows}, {"<mycat>": (rows,)}),
                           ({"clip_l": left, "clip_g": right}, {"": (left, right)})):
        torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
        assert pickle_format.recognise(tmp_path / "a.pt")
        read = pickle_format.read(tmp_path / "a.pt")
        assert read.keys() == words.keys() and all(equal(read[w], words[w]) for w in words)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["zip", "old", "bare"])
def test_a_pickle_with_a_program_is_refused_and_nothing_is_run(tmp_path: Path, form: str) -> None:
    path, sprung = tmp_path / "a.pt", tmp_path / "sprung"
    content = {**a1111_pt(torch.ones(1, 768)), "extra": Trap(sprung)}
    if form == "bare":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    assert pickle_format.recognise(path)
    with pytest.raises(StudioError, match=r"'a\.pt'"):
        pickle_format.read(path)
    assert not sprung.exists()
    torch.load(path, weights_only=False) if form != "bare" else pickle.loads(path.read_bytes())
    assert sprung.exists(), "the trap works, so the refusal was what kept it shut"


def test_what_a_pickle_unfolds_to_is_looked_at_first(tmp_path: Path) -> None:
    torch.save(a1111_pt(torch.zeros(4096, 768)), tmp_path / "big.pt")
    with pytest.raises(StudioError, match=r"at most 8 MB and has 12 MB"):
        pickle_format.read(tmp_path / "big.pt")
    with zipfile.ZipFile(tmp_path / "big.pt") as old, \
            zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))
    assert (tmp_path / "bomb.pt").stat().st_size < 1 << 20
    with pytest.raises(StudioError, match="compressed"):
        pickle_format.read(tmp_path / "bomb.pt")


@pytest.mark.parametrize("content", [
    [torch.ones(1, 768)], {1: torch.ones(1, 768)}, {"string_to_param": torch.ones(1, 768)}, {},
    {"string_to_param": {"*": torch.ones(1, 768), "+": torch.ones(1, 768)}}, {"string_to_param": {"*": "text"}},
    {"<w>": torch.ones(1, 1).expand(10**6, 768)}, {"a": {"b": torch.ones(1, 768)}},
])
def test_other_tables_of_pytorch_are_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(StudioError, match=r"'a\.pt' should hold"):
        pickle_format.read(tmp_path / "a.pt")


@pytest.mark.parametrize("content", [b"\x80", b"\x80\x04\x95", b"PK\x03\x04", b"PK\x03\x04" + bytes(300),
                                     b"\x80\x02" + bytes(99)])
def test_a_broken_pickle_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(StudioError, match=r"'a\.pt'"):
        pickle_format.read(tmp_path / "a.pt")


def test_a_safetensors_file_is_never_taken_for_a_pickle(tmp_path: Path) -> None:
    lengths = set()
    for extra in range(0, 128, 8):
        write_tensors(tmp_path / "a.safetensors", {"emb_params": torch.ones(1, 8)}, {"note": "x" * extra})
        lengths.add((tmp_path / "a.safetensors").read_bytes()[0])
        assert not pickle_format.recognise(tmp_path / "a.safetensors")
    assert 0x80 in lengths
