from __future__ import annotations

import errno
import json
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from adapters import files
from adapters.errors import StudioError
from adapters.files import (
    MAX_HEADER_BYTES,
    MAX_TENSORS,
    disk_error,
    move,
    read_header,
    sha256,
    write_atomic,
    write_bytes,
    write_text,
)
from adapters.tensors import read_tensors, write_tensors

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2], dtype=torch.int32),
           "half": torch.tensor([0.5], dtype=torch.float16),
           "brain": torch.ones(3, dtype=torch.bfloat16),
           "scalar": torch.tensor(2.0), "empty": torch.zeros(0, 4)}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.safetensors"
    write_tensors(path, TENSORS, {"made": "here"})
    return path


def raw(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def one(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


def test_tensors_and_metadata_come_back_equal(whole: Path) -> None:
    header, tensors = read_tensors(whole)
    assert header.metadata == {"made": "here"}
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[k], v) and tensors[k].dtype == v.dtype for k, v in TENSORS.items())


def test_header_states_types_and_shapes(whole: Path) -> None:
    tensors = read_header(whole).tensors
    assert (tensors["a"].dtype, tensors["a"].shape) == ("F32", (2, 3))
    assert (tensors["brain"].dtype, tensors["brain"].shape) == ("BF16", (3,))
    assert tensors["scalar"].shape == ()


def test_every_cut_of_a_file_is_refused(whole: Path) -> None:
    data = whole.read_bytes()
    for cut in range(len(data)):
        whole.write_bytes(data[:cut])
        with pytest.raises(StudioError, match="not a whole safetensors file"):
            read_header(whole)


BAD: dict[str, bytes] = {
    "empty": b"",
    "text": b"this is no safetensors file at all",
    "a pickle": pickle.dumps({"a": 1}) + bytes(100),
    "header longer than the file": raw(one(), bytes(8))[:30],
    "header longer than allowed": raw(b"{" + b" " * MAX_HEADER_BYTES + b"}"),
    "huge header length": (2**63).to_bytes(8, "little") + b"{}" + bytes(100),
    "header not JSON": raw(b"{'a': 1}        "),
    "header not UTF-8": raw(json.dumps(one()).encode("utf-16"), bytes(8)),
    "header too deep": raw(b"[" * 50_000),
    "header a list": raw([1, 2, 3]),
    "half a surrogate": raw(json.dumps({"\ud800": one()["a"]}).encode(), bytes(8)),
    "metadata not strings": raw({"__metadata__": {"n": 1}, **one()}, bytes(8)),
    "metadata a list": raw({"__metadata__": ["n"], **one()}, bytes(8)),
    "unknown type": raw(one(dtype="F99"), bytes(8)),
    "type a list": raw(one(dtype=["F32"]), bytes(8)),
    "no type": raw({"a": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
    "entry a number": raw({"a": 3}),
    "no shape": raw({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8)),
    "negative shape": raw(one(shape=[-1, -2]), bytes(8)),
    "true as a size": raw(one(shape=[2, True]), bytes(8)),
    "fraction as a size": raw(one(shape=[2.0]), bytes(8)),
    "too many dimensions": raw(one(shape=[2] + [1] * 8), bytes(8)),
    "three offsets": raw(one(data_offsets=[0, 4, 8]), bytes(8)),
    "offsets backwards": raw(one(data_offsets=[8, 0]), bytes(8)),
    "wrong size": raw(one(shape=[3]), bytes(8)),
    "astronomic size": raw(one(shape=[2**62, 2**62]), bytes(8)),
    "nothing, in steps beyond counting": raw(one(shape=[0, 2**62, 2**62], data_offsets=[0, 0])),
    "gap before": raw(one(data_offsets=[4, 12]), bytes(12)),
    "data too short": raw(one(), bytes(7)),
    "data too long": raw(one(), bytes(9)),
    "overlap": raw({**one(), "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, bytes(12)),
    "the same place twice": raw({**one(), "b": one()["a"]}, bytes(8)),
    "gap between": raw({**one(), "b": {**one()["a"], "data_offsets": [9, 17]}}, bytes(17)),
    "too many tensors": raw({str(n): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
                             for n in range(MAX_TENSORS + 1)}),
}


@pytest.mark.parametrize("fault", BAD)
def test_refused(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(BAD[fault])
    with pytest.raises(StudioError, match=r"'bad.safetensors' is not a whole safetensors file"):
        read_header(path)


def test_the_frame_of_the_refused_headers_is_sound(tmp_path: Path) -> None:
    """Without a fault, what `raw(one())` writes is accepted: the faults are what is refused."""
    path = tmp_path / "good.safetensors"
    path.write_bytes(raw(one(), bytes(8)))
    assert read_header(path).tensors["a"].shape == (2,)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (_Bomb.target,))

    target = ""


def test_a_pickle_named_safetensors_is_never_run(tmp_path: Path) -> None:
    _Bomb.target = str(tmp_path / "ran")
    path = tmp_path / "bomb.safetensors"
    path.write_bytes(pickle.dumps(_Bomb()) + bytes(64))
    with pytest.raises(StudioError):
        read_tensors(path)
    assert not (tmp_path / "ran").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "ran").exists()  # the bomb was live


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float,
                                                        dtype: torch.dtype) -> None:
    path = tmp_path / "nan.safetensors"
    write_tensors(path, {"fine": torch.ones(2), "ill": torch.tensor([1, value], dtype=dtype)}, {})
    with pytest.raises(StudioError, match=r"not numbers \(in 'ill'\)"):
        read_tensors(path)


@pytest.mark.parametrize("missing", ["nothing-here.safetensors", "."])
def test_what_cannot_be_opened_is_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(StudioError, match="could not be opened"):
        read_header(tmp_path / missing)


def test_mutated_files_load_or_are_refused(tmp_path: Path) -> None:
    chance = random.Random(5)
    good = save({"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.int64)}, {"k": "v"})
    header = 8 + int.from_bytes(good[:8], "little")
    path, refused = tmp_path / "m.safetensors", 0
    for _ in range(300):
        data = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(header if chance.random() < 0.9 else len(data))
            kind = chance.randrange(4)
            if kind == 0:
                data[place] = chance.randrange(256)
            elif kind == 1:
                data[place] ^= 1 << chance.randrange(8)
            elif kind == 2:
                del data[place:place + chance.randint(1, 9)]
            else:
                data[place:place] = chance.choice([b"9", b"-", b"[]", b"{", b"null", b'"', b"1e9"])
            header = min(header, len(data))
        path.write_bytes(data)
        try:
            read_tensors(path)
        except StudioError:
            refused += 1
    assert 150 < refused < 300


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, code: int) -> None:
    path = tmp_path / "kept.txt"
    write_text(path, "old")

    def fill(temporary: Path) -> None:
        temporary.write_text("half of it")
        raise OSError(code, os.strerror(code))

    with pytest.raises(StudioError, match=r"The disk is full: 'kept.txt'"):
        write_atomic(path, fill)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, ValueError])
def test_an_interrupted_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path,
                                                                    error: type[BaseException]) -> None:
    path = tmp_path / "kept.txt"
    write_text(path, "old")

    def stop(temporary: Path) -> None:
        temporary.write_text("half of it")
        raise error

    with pytest.raises(error):
        write_atomic(path, stop)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on file sizes")
def test_a_refusal_inside_safetensors_is_a_sentence_and_keeps_the_old_file(tmp_path: Path) -> None:
    """A real refusal of the system in the middle of the tensors: the process may write 100 kB."""
    code = """
import resource, sys, torch
from pathlib import Path
from adapters.errors import StudioError
from adapters.tensors import write_tensors
path = Path(sys.argv[1])
write_tensors(path, {"old": torch.ones(2)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_tensors(path, {"new": torch.ones(100_000)}, {})
except StudioError as error:
    print(error)
"""
    path = tmp_path / "kept.safetensors"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True,
                          cwd=Path(__file__).parents[2], check=True)
    assert "could not be written (File too large)" in done.stdout
    assert list(read_tensors(path)[1]) == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_the_systems_refusals_have_sentences() -> None:
    full = disk_error(OSError(errno.ENOSPC, "No space left on device"), Path("x/a.png"))
    rights = disk_error(OSError(errno.EACCES, "Permission denied"), Path("x/a.png"))
    assert "disk is full" in str(full) and "Permission denied" not in str(full)
    assert "Permission denied" in str(rights) and "disk is full" not in str(rights)


WRITERS: list[Callable[[Path], None]] = [
    lambda p: write_text(p, "é"), lambda p: write_bytes(p, b"\x00"),
    lambda p: write_tensors(p, TENSORS, {}),
]


@pytest.mark.parametrize("write", WRITERS)
def test_folders_are_made_and_a_file_in_their_place_is_a_sentence(
        tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "a" / "b" / "file")
    assert (tmp_path / "a" / "b" / "file").stat().st_size
    with pytest.raises(StudioError, match="could not be written"):
        write(tmp_path / "a" / "b" / "file" / "c")


def test_a_name_too_long_for_the_system_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="could not be written"):
        write_text(tmp_path / ("x" * 300), "text")
    assert not list(tmp_path.iterdir())


def test_slices_and_transposes_are_written_as_they_look(tmp_path: Path) -> None:
    table = torch.arange(12.0).reshape(3, 4)
    write_tensors(tmp_path / "t.safetensors", {"t": table.T, "s": table[:, 1]}, {})
    tensors = read_tensors(tmp_path / "t.safetensors")[1]
    assert torch.equal(tensors["t"], table.T) and torch.equal(tensors["s"], table[:, 1])


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_what_was_moved_has_moved_after_a_power_cut_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    sync = files.sync_folder
    monkeypatch.setattr(files, "sync_folder", lambda folder: (synced.append(folder), sync(folder)))
    for name in ("here/draft", "there"):
        (tmp_path / name).mkdir(parents=True)
    move(tmp_path / "here" / "draft", tmp_path / "there" / "draft")
    assert (tmp_path / "there" / "draft").is_dir() and not (tmp_path / "here" / "draft").exists()
    assert synced == [tmp_path / "there", tmp_path / "here"]
    move(tmp_path / "there" / "draft", tmp_path / "there" / "other")
    assert synced[2:] == [tmp_path / "there"]
