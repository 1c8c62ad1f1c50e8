"""The studio's own adapter file: safetensors with a JSON record in its header. Never pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, Self

import torch

from adapters.base import Adapter
from adapters.bundle import BundleAdapter
from adapters.errors import StudioError
from adapters.full import FullAdapter
from adapters.lora import LoraAdapter
from adapters.perfusion import PerfusionAdapter
from adapters.record import AdapterRecord, read_record
from adapters.tensors import digest, read_tensors, write_tensors
from adapters.tokens import TokensAdapter

DIGEST_KEY = "semblance_sha256"
"""Metadata: the digest of the tensors when the studio wrote them."""


class StoredAdapter(Adapter, Protocol):
    """An adapter kind that can be written to and read from a file."""

    @classmethod
    def from_file(cls, tensors: dict[str, torch.Tensor], metadata: dict[str, str],
                  spec: dict[str, Any], file: str) -> Self:
        """Rebuild from tensors, metadata and the record's spec; StudioError names `file` when unfit."""
        ...

    def to_file(self) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """(tensors, metadata)."""
        ...


KINDS: dict[str, type[StoredAdapter]] = {
    "lora": LoraAdapter, "tokens": TokensAdapter, "perfusion": PerfusionAdapter, "full": FullAdapter,
    "bundle": BundleAdapter,
}


def save(path: Path, adapter: StoredAdapter, record: AdapterRecord) -> None:
    """Write adapter and record atomically."""
    tensors, metadata = adapter.to_file()
    write_tensors(path, tensors, {**metadata, **record.to_metadata(), DIGEST_KEY: digest(tensors)})


def intact(path: Path) -> bool | None:
    """Whether a studio file's tensors are those that were written; None for one from before this was noted.

    It tells damage and exchange from the original. It is no signature: whoever can write a file can write this too.
    """
    header, tensors = read_tensors(path)
    noted = header.metadata.get(DIGEST_KEY)
    return None if noted is None else noted == digest(tensors)


def load(path: Path) -> tuple[StoredAdapter, AdapterRecord]:
    """Read a studio file: the adapter (not yet injected) and its record."""
    record = read_record(path)
    if record.kind not in KINDS:
        raise StudioError(f"'{path.name}' holds a '{record.kind}' adapter, which this studio does "
                          "not know; update the studio.")
    header, tensors = read_tensors(path)
    return KINDS[record.kind].from_file(tensors, header.metadata, record.spec, path.name), record
