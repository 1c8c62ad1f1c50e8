"""Files that are whole or absent, and safetensors files that are checked before they are read."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import safetensors

from adapters.errors import StudioError

MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 10_000
MAX_DIMENSIONS = 8
_ITEM_SIZE = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "I8": 1,
              "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}


@dataclass(frozen=True)
class TensorInfo:
    """Type and shape of one tensor as the header states them."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Header:
    """A checked safetensors header: free metadata (all strings) and the tensors it promises."""

    metadata: dict[str, str]
    tensors: dict[str, TensorInfo]


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, make it durable, then put it in place.

    Readers see the old file or the new one, never a part. A full disk becomes a StudioError and
    leaves what was there.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error
    except safetensors.SafetensorError as error:
        # The library reports the system's refusal only as text: '… (os error 28)'.
        if number := re.search(r"os error (\d+)", str(error)):
            code = int(number[1])
            raise disk_error(OSError(code, os.strerror(code)), path) from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def sweep(folder: Path, older: float = 0.0) -> int:
    """Take away what a killed `write_atomic` left in a folder and below, `older` seconds or more; how many there were.

    Only for folders in which nobody writes meanwhile, or with an age that no write reaches.
    """
    count = 0
    for path in folder.rglob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and time.time() - path.stat().st_mtime >= older:
                path.unlink()
                count += 1
    return count


def is_full(error: OSError) -> bool:
    """Whether the system refused it since the disk, or a person's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_error(error: OSError, path: Path) -> StudioError:
    """The sentence for a write that the system refused."""
    if is_full(error):
        return StudioError(
            f"The disk is full: '{path.name}' could not be written; free some space and try again, "
            "nothing that existed was changed."
        )
    return StudioError(f"'{path}' could not be written ({error.strerror}); check the folder's rights.")


def sync_folder(folder: Path) -> None:
    """Make what a folder lists durable: what was renamed into it is there after a power cut too."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move(source: Path, target: Path) -> None:
    """Rename a file or a folder, so that it has moved after a power cut too. What is a file at `target` goes."""
    os.replace(source, target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomic(path, lambda p: p.write_text(text, "utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a binary file atomically."""
    write_atomic(path, lambda p: p.write_bytes(data))


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_header(path: Path) -> Header:
    """Parse and check a safetensors header without touching the tensors.

    Raises StudioError for anything that is not a whole safetensors file: wrong sizes, too many
    tensors, overlapping or missing data, unknown types.
    """
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            raw = file.read(header_length(file.read(8), total, path))
    except OSError as error:
        raise StudioError(f"'{path}' could not be opened ({error.strerror}); check the path.") from error
    return parse_header(raw, total, path)


def header_length(first: bytes, total: int, path: Path) -> int:
    """Bytes of the header that the `first` 8 bytes of a file of `total` bytes announce; StudioError if none can be."""
    length = int.from_bytes(first[:8], "little")
    if total < 10 or not 2 <= length <= min(MAX_HEADER_BYTES, total - 8):
        raise not_whole(path, "it does not begin with a safetensors header")
    return length


def parse_header(raw: bytes, total: int, path: Path) -> Header:
    """A header's JSON, checked against the file's size in bytes. `path` only names the file; it need not be there."""
    try:
        entries = json.loads(raw.decode("utf-8"))
        json.dumps(entries, ensure_ascii=False).encode("utf-8")  # half surrogates can be in no message
    except (ValueError, RecursionError) as error:
        raise not_whole(path, "its header is not JSON") from error
    if not isinstance(entries, dict):
        raise not_whole(path, "its header is not a table")
    metadata = entries.pop("__metadata__", {}) or {}
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise not_whole(path, "its metadata is not text")
    if len(entries) > MAX_TENSORS:
        raise not_whole(path, f"it has {len(entries)} tensors where at most {MAX_TENSORS} make sense")
    tensors, spans = {}, []
    for name, entry in entries.items():
        info, span = _check_entry(path, name, entry)
        tensors[name] = info
        spans.append(span)
    _check_spans(path, spans, total - 8 - len(raw))
    return Header(metadata, tensors)


def copy_with_metadata(source: Path, out: Path, metadata: Mapping[str, str]) -> None:
    """Write a checked file's tensors, byte by byte, to `out` under other metadata (atomic)."""
    read_header(source)
    with source.open("rb") as file:
        entries = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        head = json.dumps({**entries, "__metadata__": dict(metadata)}).encode()
        head += b" " * (-len(head) % 8)
        if len(head) > MAX_HEADER_BYTES:
            raise StudioError(f"'{source.name}' has no room for more in its header ({len(head)} bytes of "
                              f"{MAX_HEADER_BYTES}); write less.")

        def write(path: Path) -> None:
            with path.open("wb") as target:
                target.write(len(head).to_bytes(8, "little") + head)
                shutil.copyfileobj(file, target)

        write_atomic(out, write)


def _check_entry(path: Path, name: str, entry: object) -> tuple[TensorInfo, tuple[int, int]]:
    dtype = entry.get("dtype") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(dtype, str) or dtype not in _ITEM_SIZE:
        raise not_whole(path, f"tensor '{name[:60]}' has an unknown type")
    shape, span = entry.get("shape"), entry.get("data_offsets")
    if not _naturals(shape) or not _naturals(span) or len(shape) > MAX_DIMENSIONS or len(span) != 2:
        raise not_whole(path, f"tensor '{name[:60]}' has no sensible shape or place")
    size = _ITEM_SIZE[dtype] * math.prod(shape)
    reach = _ITEM_SIZE[dtype] * math.prod(max(n, 1) for n in shape)  # of nothing too, torch counts the steps
    if span[1] - span[0] != size or reach >= 1 << 63:
        raise not_whole(path, f"tensor '{name[:60]}' has not the size of its shape")
    return TensorInfo(dtype, tuple(shape)), (span[0], span[1])


def _naturals(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _check_spans(path: Path, spans: list[tuple[int, int]], data: int) -> None:
    position = 0
    for start, end in sorted(spans):
        if start != position:
            raise not_whole(path, "its tensors overlap or leave gaps")
        position = end
    if position != data:
        raise not_whole(path, f"it should hold {position} bytes of tensors and holds {data}")


def not_whole(path: Path, found: str) -> StudioError:
    """The sentence for a file that is no whole safetensors file."""
    return StudioError(
        f"'{path.name}' is not a whole safetensors file ({found}); take a fresh copy of the file."
    )
