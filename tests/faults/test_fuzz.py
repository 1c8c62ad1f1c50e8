"""Bytes that nobody thought of, for whatever reads adapters and pictures: taken, or refused in a sentence."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from adapters.errors import StudioError
from adapters.files import read_header
from adapters.studio_file import load
from pipelines.exchange import import_file
from pipelines.references import open_image
from tests.faults.conftest import FULL, Note

SLOWEST = 2.0  # seconds for one file
ADAPTERS, PICTURES = (20_000, 20_000) if FULL else (120, 120)
# The same in every short run, so that a change that breaks something is what breaks it; others in every long one.
_ALIKE = {"derandomize": not FULL, "database": None, "deadline": None,
          "phases": (Phase.explicit, Phase.generate, Phase.shrink), "suppress_health_check": list(HealthCheck)}

texts = st.text(max_size=12) | st.sampled_from(["lora_A", "unet.to_q.lora_A.weight", "semblance", "emb_params"])
numbers = st.integers(-2, 70) | st.sampled_from([2**31, 2**63, 2**64, -2**63])
leaves = texts | numbers | st.booleans() | st.none() | st.floats(allow_nan=True)
values = st.recursive(leaves, lambda v: st.lists(v, max_size=4) | st.dictionaries(texts, v, max_size=4), max_leaves=8)
tensors = st.fixed_dictionaries({
    "dtype": st.sampled_from(["F32", "F16", "BF16", "I64", "U8", "F8_E4M3", "F4", ""]) | leaves,
    "shape": st.lists(numbers, max_size=9) | values,
    "data_offsets": st.lists(numbers, min_size=2, max_size=2) | values})
records = st.dictionaries(st.sampled_from(["format_version", "kind", "method", "name", "base", "concepts", "spec"]),
                          values, max_size=7)
metadata = st.dictionaries(st.sampled_from(["semblance", "format", "lora_adapter_metadata", "ss_network_module"]),
                           records.map(json.dumps) | texts, max_size=3)


@st.composite
def whole(draw: Any) -> tuple[bytes, bytes]:
    """A header whose tensors lie as they should, with whatever names, types, shapes and metadata."""
    entries, at = {}, 0
    for name in draw(st.lists(texts, max_size=5, unique=True)):
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        kind, size = draw(st.sampled_from([("F32", 4), ("F16", 2), ("U8", 1)]))
        for n in shape:
            size *= n
        entries[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps({"__metadata__": draw(metadata), **entries}).encode()
    return head, draw(st.binary(min_size=at, max_size=at))


headers = whole() | st.tuples(
    st.dictionaries(texts | st.just("__metadata__"), tensors | metadata | values, max_size=5).map(
        lambda h: json.dumps(h).encode()) | st.binary(max_size=64), st.binary(max_size=64))
lengths = st.just(0) | st.integers(-9, 9) | st.sampled_from([2**20, 2**63])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@contextlib.contextmanager
def soon() -> Iterator[None]:
    """Of this process's own time, so that a busy machine changes nothing."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < SLOWEST


def explained(error: StudioError) -> bool:
    text = str(error)
    return text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) < 600


def test_any_bytes_are_an_adapter_or_refused_in_a_sentence(place: Path, note: Note) -> None:
    said = Counter[str]()

    @settings(max_examples=ADAPTERS, **_ALIKE)
    @given(headers, lengths)
    def fuzz(made: tuple[bytes, bytes], off: int) -> None:
        head, data = made
        path = place / "a.safetensors"
        path.write_bytes(struct.pack("<Q", max(len(head) + off, 0) % 2**64) + head + data)
        for read in (read_header, load, lambda p: import_file(p, "a")):
            try:
                with soon():
                    read(path)
                said["taken"] += 1
            except StudioError as error:
                assert explained(error), error
                said["refused"] += 1

    fuzz()
    assert said["taken"] and said["refused"]
    note(5, "made-up adapter files through every reader (hypothesis)", sum(said.values()), f"{dict(said)}, no crash")


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((40, 36), 60).convert("RGB").save(out, kind)
    return out.getvalue()


edits = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 12)), min_size=1, max_size=6)


def test_any_bytes_are_a_picture_or_refused_in_a_sentence(place: Path, note: Note) -> None:
    said, whole = Counter[str](), {kind: picture(kind) for kind in ("PNG", "JPEG", "WEBP", "BMP")}

    @settings(max_examples=PICTURES, **_ALIKE)
    @given(st.sampled_from(sorted(whole)), edits, st.binary(max_size=40) | st.none())
    @example("PNG", [], None)  # one that is whole: chance alone need not leave any so
    @example("PNG", [], b"")
    def fuzz(kind: str, changes: list[tuple[float, bytes, int]], instead: bytes | None) -> None:
        data = bytearray(whole[kind])
        for where, put, gone in changes:
            at = int(where ** 3 * len(data))
            data[at:at + gone] = put
        path = place / "a.png"
        path.write_bytes(bytes(data) if instead is None else whole[kind][:8] + instead)
        try:
            with soon():
                image = open_image(path)
        except StudioError as error:
            assert explained(error), error
            said["refused"] += 1
        else:
            assert image.mode == "RGB" and not image.info and not image.getexif()
            said["taken"] += 1

    fuzz()
    assert said["taken"] and said["refused"]
    note(5, "made-up pictures through the reader (hypothesis)", PICTURES, f"{dict(said)}, no crash")
