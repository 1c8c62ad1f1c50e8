"""LoRA files of other programs: diffusers, kohya, and LyCORIS in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch

from adapters.errors import StudioError
from adapters.files import Header
from adapters.host import Host
from adapters.identity import Family, family_hint
from adapters.labels import modelspec
from adapters.lora import LoraAdapter, LoraModule, LoraWeights, diffusers_format, kohya_format, lycoris
from adapters.record import AdapterRecord
from adapters.tensors import read_tensors
from pipelines.base_models.skeleton import CONFIGS, skeleton
from pipelines.exchange.dress import write_dressed
from pipelines.exchange.report import FileReport

TOLERANCE = 1e-6  # alphas are restated in fp32


def write(weights: LoraWeights, format: str, out: Path, record: AdapterRecord, preview: Path) -> FileReport:
    """Write a diffusers or kohya file and read it back."""
    metadata = modelspec(record, "lora", record.phrase)
    if format == "diffusers":
        tensors, own = diffusers_format.encode(weights)
    else:
        tensors, own = kohya_format.encode(weights, record)
    write_dressed(out, tensors, metadata | own, record, record.phrase, preview)
    header, again = read_tensors(out)
    read = (diffusers_format.decode(again, header.metadata, out.name) if format == "diffusers"
            else kohya_format.decode(again, skeleton(record.base.family), out.name))
    return compare(weights, read, out)


def compare(weights: LoraWeights, read: LoraWeights, out: Path) -> FileReport:
    """How the layers that were read match those that were written; StudioError when they do not."""
    matched = sorted(weights.modules.keys() & read.modules.keys())
    worst = max((_difference(weights.modules[n], read.modules[n]) for n in matched), default=0.0)
    odd = sorted(weights.modules.keys() ^ read.modules.keys())
    return FileReport(out, "lora", tuple(matched), tuple(odd), worst).check(TOLERANCE)


def _difference(written: LoraModule, read: LoraModule) -> float:
    """Largest difference of two updates, in units of the larger of 1 and the update itself."""
    if (written.magnitude is None) != (read.magnitude is None):
        return math.inf
    pairs = [(written.delta(), read.delta())]
    if written.magnitude is not None and read.magnitude is not None:
        pairs.append((written.magnitude, read.magnitude.flatten()))
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1)) for a, b in pairs)


def recognise(header: Header) -> bool:
    """Whether it is a LoRA file; StudioError names one of a kind that the studio does not read."""
    keys = set(header.tensors)
    return (lycoris.recognise(keys) or bool(lycoris.other_kind(keys)) or kohya_format.recognise(keys)
            or diffusers_format.recognise(keys))


def read(path: Path) -> tuple[LoraAdapter, Family]:
    """The adapter and the family that has all its layers, trying first the one that the file names."""
    header, tensors = read_tensors(path)
    if kind := lycoris.other_kind(set(tensors)):
        raise StudioError(f"'{path.name}' is {kind}, which this studio does not read; choose a file of LoRA, LoHa or "
                          "LoKr layers.")
    refusal: StudioError | None = None
    hint = family_hint(header.metadata)
    for family in sorted(CONFIGS, key=lambda f: f != hint):
        host = skeleton(family)
        try:
            weights = _decode(tensors, header.metadata, host, path.name)
            weights.check_fits(host, path.name)
        except StudioError as error:
            refusal = refusal or error
        else:
            return LoraAdapter.from_weights(weights), family
    raise refusal or StudioError(f"'{path.name}' fits no base that this studio knows; choose another file.")


def _decode(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str], host: Host, file: str) -> LoraWeights:
    keys = set(tensors)
    if not lycoris.recognise(keys):
        if kohya_format.recognise(keys):
            return kohya_format.decode(tensors, host, file)
        return diffusers_format.decode(tensors, metadata, file)
    stems = {k.partition(".")[0] for k in keys if lycoris.recognise({k})}
    theirs = {k: t for k, t in tensors.items() if k.partition(".")[0] in stems}
    found = dict(lycoris.decode(theirs, host, file).modules)
    if plain := {k: t for k, t in tensors.items() if k not in theirs}:
        found |= kohya_format.decode(plain, host, file).modules
    return LoraWeights(found)
