"""Adapter files that promise what they do not hold: refused by name, before anything is computed with them."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from adapters.errors import StudioError
from adapters.files import MAX_HEADER_BYTES, MAX_TENSORS
from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.record import AdapterRecord
from adapters.studio_file import load, save
from adapters.tensors import read_tensors
from app.studio import Studio
from pipelines.base_models.load import load_base
from pipelines.generator import Chosen, Generator
from tests.adapters.tools import wider
from tests.faults.conftest import Note

COMPUTING = ("mm", "conv", "attention", "linear", "softmax", "_norm")
Tensors = dict[str, torch.Tensor]


class NothingIsComputed(TorchDispatchMode):
    """Fails at the first operation that a network is made of."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        assert not any(word in name for word in COMPUTING), name
        return func(*args, **(kwargs or {}))


@pytest.fixture
def good(tmp_path: Path, record: AdapterRecord) -> Path:
    """One for the starter that is taken as it is."""
    host = load_base("starter")
    return made_for(host, record.model_copy(update={"base": host.identity}), tmp_path / "good.safetensors")


def made_for(host: Host, record: AdapterRecord, path: Path) -> Path:
    made = LoraAdapter.for_training(host, rank=2, alpha=2, targets=("to_q",))
    made.inject(host, "training")
    save(path, made, record)
    made.eject()
    return path


def written(path: Path, tensors: Tensors, metadata: dict[str, str]) -> Path:
    """A file as safetensors would write it, without any of the studio's checks."""
    entries: dict[str, Any] = {"__metadata__": metadata}
    data = b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().numpy().tobytes()
        entries[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return headed(path, json.dumps(entries).encode(), data)


def headed(path: Path, head: bytes, data: bytes = b"", announced: int | None = None) -> Path:
    path.write_bytes(struct.pack("<Q", len(head) if announced is None else announced) + head + data)
    return path


def changed(good: Path, path: Path, change: Callable[[Tensors], object]) -> Path:
    header, tensors = read_tensors(good)
    tensors = {k: v.clone() for k, v in tensors.items()}
    change(tensors)
    return written(path, tensors, header.metadata)


def first(tensors: Tensors, part: str) -> str:
    return next(k for k in sorted(tensors) if part in k)


def many(count: int) -> bytes:
    return json.dumps({f"t{n}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for n in range(count)}).encode()


def one(shape: list[int], end: int) -> bytes:
    return json.dumps({"bomb": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}).encode()


def swap(tensors: Tensors) -> None:
    down, up = first(tensors, "lora_A"), first(tensors, "lora_B")
    tensors[down], tensors[up] = tensors[up], tensors[down]


def turn(tensors: Tensors) -> None:
    for key in tensors:
        tensors[key] = tensors[key].T.contiguous()


def widen(tensors: Tensors) -> None:
    up = first(tensors, "lora_B")
    tensors[up] = torch.cat([tensors[up], tensors[up]], dim=1)


def poison(value: float) -> Callable[[Tensors], None]:
    def put(tensors: Tensors) -> None:
        tensors[first(tensors, "lora_B")].view(-1)[3] = value

    return put


FILES: dict[str, Callable[[Path, Path], Path]] = {
    "header bloat": lambda good, p: headed(p, b" " * (MAX_HEADER_BYTES - 1) + b"{} "),
    "header longer than the file": lambda good, p: headed(p, b"{}", announced=2**63),
    "too many tensors": lambda good, p: headed(p, many(MAX_TENSORS + 1)),
    "bomb of one shape": lambda good, p: headed(p, one([2**31, 2**31], 2**64)),
    "bomb that holds nothing": lambda good, p: headed(p, one([2**20, 2**20], 0)),
    "deep header": lambda good, p: headed(p, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "NaN": lambda good, p: changed(good, p, poison(float("nan"))),
    "infinity": lambda good, p: changed(good, p, poison(float("inf"))),
    "wrong rank": lambda good, p: changed(good, p, widen),
    "swapped tensors": lambda good, p: changed(good, p, swap),
    "turned shapes": lambda good, p: changed(good, p, turn),
    "a tensor missing": lambda good, p: changed(good, p, lambda t: t.pop(first(t, "lora_B"))),
}


def refusal(act: Callable[[], object]) -> str:
    """The sentence with which it is refused, in little time and with nothing computed."""
    begun = time.process_time()
    with NothingIsComputed(), pytest.raises(StudioError) as refused:
        act()
    assert time.process_time() - begun < 2
    text = str(refused.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 500
    return text


def test_headers_that_lie_are_refused_by_name_before_any_compute(studio: Studio, good: Path, note: Note) -> None:
    tried = 0
    for what, make in FILES.items():
        path = make(good, good.with_name("evil.safetensors"))
        said = refusal(lambda path=path: studio.import_file(path))
        assert "'evil.safetensors'" in said or "'evil'" in said, (what, said)
        tried += 1
    assert studio.library.entries() == [] and not list(studio.home.adapters.iterdir())
    assert studio.import_file(good).path.is_file()  # nothing but what was changed is what was refused
    note(6, ", ".join(FILES), tried, "each refused by the file's name, nothing computed, nothing kept")


def test_adapters_of_other_bases_are_refused_by_name_before_any_compute(host: Host, record: AdapterRecord,
                                                                       tmp_path: Path, note: Note) -> None:
    large, good = wider(host), made_for(host, record, tmp_path / "good.safetensors")
    painter = {"small": Generator(host), "large": Generator(large)}
    family = host.identity.model_copy(update={"family": "sdxl"})
    adapter, _ = load(good)
    cases = [
        (painter["large"], Chosen(adapter, record)),  # the shapes of another base of the same family
        (painter["small"], Chosen(load(good)[0], record.model_copy(update={"base": family}))),
    ]
    for generator, chosen in cases:
        with generator.using([]):
            pass

        def use(generator: Generator = generator, chosen: Chosen = chosen) -> None:
            with generator.using([chosen]):
                raise AssertionError("it was put in")

        said = refusal(use)
        assert f"'{record.name}'" in said and "base" in said, said
    note(6, "adapters for a base of another family or other shapes", len(cases),
         "each refused by its name, nothing computed")
