"""Adapters out to other programs' files and in from them; every export is read back and compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from adapters.errors import StudioError
from adapters.files import read_header
from adapters.host import Host
from adapters.identity import BaseIdentity, Family, family_hint
from adapters.lora import LoraAdapter, LoraModule, LoraWeights, diffusers_format, kohya_format
from adapters.naming import MAX_LENGTH
from adapters.record import AdapterRecord
from adapters.studio_file import StoredAdapter, load
from adapters.tensors import read_tensors, write_tensors
from pipelines.base_models.skeleton import CONFIGS, skeleton

FORMATS = ("diffusers", "kohya")


@dataclass(frozen=True)
class ExportReport:
    """What was written and how it read back."""

    file: Path
    format: str
    layers: int
    matched: int
    max_difference: float


def export(source: Path, format: str, out: Path) -> ExportReport:
    """Write the adapter in `source` as `format` to `out`, then read `out` and compare every layer.

    Raises StudioError for an unknown format, or when the file does not read back as it was.
    """
    if format not in FORMATS:
        raise StudioError(f"There is no format '{format}'; choose one of: {', '.join(FORMATS)}.")
    if out.resolve() == source.resolve():
        raise StudioError(f"'{out}' is the adapter in the library itself; write to another file.")
    adapter, record = load(source)
    if not isinstance(adapter, LoraAdapter):
        raise StudioError(f"'{record.name}' is a {record.kind} adapter and cannot be written as a "
                          f"{format} LoRA; keep the studio's own file.")
    weights = adapter.weights()
    if format == "diffusers":
        tensors, metadata = diffusers_format.encode(weights)
    else:
        tensors, metadata = kohya_format.encode(weights, record)
    write_tensors(out, tensors, metadata)
    header, again = read_tensors(out)
    host = skeleton(record.base.family)
    read = (diffusers_format.decode(again, header.metadata, out.name) if format == "diffusers"
            else kohya_format.decode(again, host, out.name))
    return _compare(weights, read, out, format)


def _compare(weights: LoraWeights, read: LoraWeights, out: Path, format: str) -> ExportReport:
    matched = weights.modules.keys() & read.modules.keys()
    worst = max((_difference(weights.modules[n], read.modules[n]) for n in matched), default=0.0)
    if len(matched) != len(weights.modules) or worst > 1e-6:
        raise StudioError(
            f"'{out.name}' did not read back as it was written ({len(matched)} of "
            f"{len(weights.modules)} layers, difference {worst:.1e}); please report this."
        )
    return ExportReport(out, format, len(weights.modules), len(matched), worst)


def _difference(written: LoraModule, read: LoraModule) -> float:
    """Largest difference of two updates, in units of the larger of 1 and the update itself."""
    if (written.magnitude is None) != (read.magnitude is None):
        return math.inf
    pairs = [(written.delta(), read.delta())]
    if written.magnitude is not None and read.magnitude is not None:
        pairs.append((written.magnitude, read.magnitude.flatten()))
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1)) for a, b in pairs)


def import_file(path: Path, name: str) -> tuple[StoredAdapter, AdapterRecord]:
    """Read a studio, diffusers or kohya LoRA file, recognised by its content.

    `name` is used for files that are not the studio's own. Raises StudioError when it is none of
    these or fits no base family that the studio knows.
    """
    header = read_header(path)
    if AdapterRecord.from_metadata(header.metadata, path.name) is not None:
        adapter, record = load(path)
        host = skeleton(record.base.family)
        if isinstance(adapter, LoraAdapter):
            adapter.weights().check_fits(host, path.name)
        return adapter, record
    keys = set(header.tensors)
    if not (kohya_format.recognise(keys) or diffusers_format.recognise(keys)):
        raise StudioError(f"'{path.name}' is no LoRA that this studio knows (its first tensor is "
                          f"'{min(keys, default='none')[:60]}'); choose a diffusers or kohya LoRA file.")
    _, tensors = read_tensors(path)
    weights, family = _fit(tensors, header.metadata, path.name)
    trigger = header.metadata.get("modelspec.trigger_phrase", "")[:200]
    record = AdapterRecord(
        kind="lora", method="imported", name=name[:MAX_LENGTH],
        base=BaseIdentity(family=family, name="", hash=""), trigger=trigger,
        provenance={"file": path.name},
    )
    return LoraAdapter.from_weights(weights), record


def _fit(tensors: dict[str, torch.Tensor], metadata: dict[str, str],
         file: str) -> tuple[LoraWeights, Family]:
    """The weights and the first family that has all their layers, beginning with the one that the file names."""
    refusal: StudioError | None = None
    hint = family_hint(metadata)
    for family in sorted(CONFIGS, key=lambda f: f != hint):
        host: Host = skeleton(family)
        try:
            if kohya_format.recognise(set(tensors)):
                weights = kohya_format.decode(tensors, host, file)
            else:
                weights = diffusers_format.decode(tensors, metadata, file)
            weights.check_fits(host, file)
        except StudioError as error:
            refusal = refusal or error
        else:
            return weights, family
    if refusal is None:
        raise StudioError(f"'{file}' fits no base that this studio knows.")
    raise refusal
