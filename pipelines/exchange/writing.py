"""Exports: what the adapter comes to, written by format, read back, and told."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from adapters.errors import StudioError
from adapters.files import copy_with_metadata, read_header, write_atomic
from adapters.formats import DEFAULT_RANK, check_format
from adapters.host import Host
from adapters.record import AdapterRecord, read_record
from adapters.studio_file import load
from adapters.tensors import read_tensors
from pipelines.base_models.load import load_base
from pipelines.base_models.locate import named
from pipelines.exchange import lora, words
from pipelines.exchange.content import content_of
from pipelines.exchange.dress import write_card, write_sidecar
from pipelines.exchange.report import ExportReport, FileReport
from pipelines.generator import check_family

MAX_RANK = 4096


def export(source: Path, format: str, out: Path, *, approximate: int | None = None, base: str = "",
           offline: bool = False) -> ExportReport:
    """Write the adapter in `source` as `format` to `out`, then read the files and compare every key.

    Its model card is written beside it, `<stem>.md`. Words go into files beside `out` where it is a LoRA:
    `<stem>-words.safetensors`. What no LoRA can hold is written only with `approximate`, the rank at most, which takes
    the base from the record or `base`.
    Raises StudioError for a format that does not fit, or when a file does not read back as it was.
    """
    record = read_record(source)
    check_format(record, format, approximate=approximate is not None)
    if approximate is not None and not 1 <= approximate <= MAX_RANK:
        raise StudioError(f"{approximate} is no rank; give one from 1 to {MAX_RANK}.")
    preview = source.with_suffix(".preview.png")
    if format == "studio":
        _check_targets(source, [out])
        record = _without_places(record)
        copied = ExportReport(format, (_copy(source, out, record, preview),))
        write_card(out, record, source.with_suffix(".md"), (), exact=True, exported=False)
        return copied
    adapter, record = load(source)
    notes: list[str] = []

    def opened() -> Host:
        host, said = _base(record, base, offline)
        notes.extend(said)
        return host

    content = content_of(adapter, opened, approximate or DEFAULT_RANK)
    reports: tuple[FileReport, ...] = ()
    beside = out.with_name(f"{out.stem}-words{out.suffix or '.safetensors'}") if content.lora else out
    _check_targets(source, [out, beside])
    if content.lora:
        reports = (lora.write(content.lora, format, out, record, preview),)
    reports += words.write(content.words, format, beside, record, preview)
    told = (*content.notes, *notes, *_how_to_use(reports, content.words))
    held = ("bundle" if content.words else "lora") if content.lora else "tokens"
    write_card(out, record.model_copy(update={"kind": held}), source.with_suffix(".md"), told,
               exact=not content.errors)
    return ExportReport(format, reports, told, content.errors)


def _check_targets(source: Path, files: Sequence[Path]) -> None:
    if any(f.resolve() == source.resolve() for f in files):
        raise StudioError(f"'{source}' is the adapter in the library itself; write to another file.")
    if files[0].suffix.lower() in (".json", ".md", ".png"):
        raise StudioError(f"'{files[0].name}' ends like a sidecar, a card or a picture; give a name that ends in "
                          ".safetensors.")


def _base(record: AdapterRecord, given: str, offline: bool) -> tuple[Host, list[str]]:
    """The base that the adapter was trained on, or the one that is given, with a note when it is another."""
    spec = given or str(record.provenance.get("base", "")) or record.base.family
    if spec != "starter" and spec == record.base.family:
        raise StudioError(f"'{record.name}' does not say which base it was trained on, and an approximation needs its "
                          "weights; give it on the command line (--base).")
    host = load_base(spec, offline=offline)
    check_family(host, record)
    if record.base.hash and host.identity.hash and record.base.hash != host.identity.hash:
        return host, [f"'{host.identity.name}' has other weights than the base '{record.base.name}' that it was "
                      "trained on"]
    return host, []


def _without_places(record: AdapterRecord) -> AdapterRecord:
    """The record without where its base, or a model for masks, lies on this machine."""
    told = dict(record.provenance)
    if "base" in told:
        told["base"] = named(str(told["base"]))
    if isinstance(config := told.get("config"), dict) and "mask_model" in config:
        told["config"] = {**config, "mask_model": named(str(config["mask_model"]))}
    return record.model_copy(update={"provenance": told})


def _copy(source: Path, out: Path, record: AdapterRecord, preview: Path) -> FileReport:
    """The studio's own file: its tensors byte by byte, with this record."""
    if record != read_record(source):
        copy_with_metadata(source, out, {**read_header(source).metadata, **record.to_metadata()})
    else:
        write_atomic(out, lambda p: shutil.copyfile(source, p) and None)
    write_sidecar(out, record, record.phrase, preview)
    load(out)
    (_, mine), (_, theirs) = read_tensors(source), read_tensors(out)
    matched = [k for k in sorted(mine) if k in theirs and torch.equal(mine[k], theirs[k])]
    return FileReport(out, "studio", tuple(matched), tuple(sorted(mine.keys() ^ set(matched)))).check()


def _how_to_use(reports: Sequence[FileReport], learned: dict[str, tuple[torch.Tensor, ...]]) -> list[str]:
    """Which files belong together, and what to write in a prompt."""
    if not learned:
        return []
    files = [r.file for r in reports if r.holds == "words"]
    names = ", ".join(f"'{word.lower()}' in {file.name}" for word, file in zip(learned, files, strict=True))
    if len(files) == len(reports):
        return [f"the word is {names}"] if len(files) == 1 else [f"all files are needed: the words are {names}"]
    all_of_them = "both files are needed" if len(reports) == 2 else "all files are needed"
    return [f"{all_of_them}: {reports[0].file.name} holds the LoRA alone, and the words are {names}"]
