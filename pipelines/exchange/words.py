"""Embedding files of other programs: diffusers, A1111, SDXL; and PyTorch's own form in."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from adapters.errors import StudioError
from adapters.files import Header
from adapters.identity import FAMILY_TITLES, Family
from adapters.labels import modelspec
from adapters.record import AdapterRecord
from adapters.tensors import read_tensors
from adapters.tokens import TokensAdapter, a1111_format, diffusers_format, pickle_format, sdxl_format
from adapters.tokens.vectors import MAX_VECTORS
from pipelines.base_models.locate import STARTER_PATH
from pipelines.exchange.dress import write_dressed
from pipelines.exchange.report import FileReport

MAX_WORDS = 64
_FLOATS = {"F64", "F32", "F16", "BF16"}

Rows = tuple[torch.Tensor, ...]
"""One [k, d] per text encoder."""


@functools.cache
def widths() -> dict[Family, tuple[int, ...]]:
    """Of each family's text encoders' vectors."""
    config = json.loads((STARTER_PATH / "text_encoder" / "config.json").read_text("utf-8"))
    return {"starter": (int(config["hidden_size"]),), "sd1": (768,), "sd2": (1024,), "sdxl": sdxl_format.WIDTHS}


def write(words: Mapping[str, Sequence[torch.Tensor]], format: str, first: Path, record: AdapterRecord,
          preview: Path) -> tuple[FileReport, ...]:
    """Write each word into a file of its own, for no other program takes two from one, and read it back.

    The first goes to `first`, the others beside it with their names.
    """
    return tuple(_write(word, tuple(rows), format,
                        first if not number else first.with_name(f"{first.stem}-{bare(word)}{first.suffix}"),
                        record, preview)
                 for number, (word, rows) in enumerate(words.items()))


def _write(word: str, rows: Rows, format: str, out: Path, record: AdapterRecord, preview: Path) -> FileReport:
    codec = sdxl_format if len(rows) == 2 else diffusers_format if format == "diffusers" else a1111_format
    word = word.lower()
    there = word if codec is diffusers_format else out.stem
    metadata = {"format": "pt"} | modelspec(record, "textual-inversion", word)
    metadata["modelspec.usage_hint"] = ("Write the file's name in the prompt (A1111, Forge), or embedding: and the "
                                        f"file's name (ComfyUI); in diffusers load it as '{word}'.")
    write_dressed(out, codec.encode(word, rows), metadata, record, there, preview)
    _, again = read_tensors(out)
    (read,) = codec.decode(again, out.name).values()
    names = tuple(f"{word}.{n}" for n in range(max(len(rows), len(read))))
    same = {n for n, (a, b) in zip(names, zip(rows, read, strict=False), strict=False) if a.shape == b.shape}
    worst = max((float((a - b).abs().max()) for n, a, b in zip(names, rows, read, strict=False) if n in same),
                default=0.0)
    return FileReport(out, "words", tuple(n for n in names if n in same), tuple(n for n in names if n not in same),
                      worst).check()


def recognise(header: Header) -> bool:
    """Whether the header is that of an embedding: few small matrices of a known text encoder's width."""
    if sdxl_format.recognise(set(header.tensors)):
        return True
    known = {w for family in widths().values() for w in family}
    return 0 < len(header.tensors) <= MAX_WORDS and all(
        info.dtype in _FLOATS and len(info.shape) in (1, 2) and info.shape[-1] in known
        and (len(info.shape) == 1 or 1 <= info.shape[0] <= MAX_VECTORS)
        for info in header.tensors.values())


def read(path: Path) -> tuple[dict[str, Rows], Mapping[str, str]]:
    """Words ('' where the file names none) to their vectors, and the file's metadata."""
    if pickle_format.recognise(path):
        return pickle_format.read(path), {}
    header, tensors = read_tensors(path)
    if sdxl_format.recognise(set(tensors)):
        return sdxl_format.decode(tensors, path.name), header.metadata
    if len(tensors) == 1:
        return a1111_format.decode(tensors, path.name), header.metadata
    return diffusers_format.decode(tensors, path.name), header.metadata


def adopt(found: Mapping[str, Rows], metadata: Mapping[str, str], name: str,
          file: str) -> tuple[TokensAdapter, Family]:
    """Learned words of this studio, '<…>' in lower case, and the family that their widths are of.

    A file of one word is named by its metadata's trigger phrase, else by its token, else by `name`.
    """
    sizes = {tuple(r.shape[1] for r in rows) for rows in found.values()}
    family = next((f for f, w in widths().items() if sizes == {w}), None)
    if family is None:
        known = ", ".join(f"{' and '.join(map(str, w))} for {FAMILY_TITLES[f]}" for f, w in widths().items())
        raise StudioError(f"'{file}' should hold vectors as wide as a text encoder's ({known}) and holds widths "
                          f"{sorted(sizes)}; choose an embedding for one of these.")
    trigger = metadata.get("modelspec.trigger_phrase", "") if len(found) == 1 else ""
    words: dict[str, Rows] = {}
    for token, rows in found.items():
        word = bare(trigger) or bare(token) or bare(name)
        if f"<{word}>" in words:
            raise StudioError(f"'{file}' holds two words that are both '<{word}>' here; rename one of them.")
        words[f"<{word}>"] = rows
    return TokensAdapter(words), family


def bare(word: str) -> str:
    """A word's letters, digits, '-' and '_' in lower case, as they stand in file names and inside '<…>'."""
    kept = "".join(c if (c.isalnum() and c.isascii()) or c in "-_" else "-" for c in word.lower())
    return kept.strip("-")[:60].strip("-")
