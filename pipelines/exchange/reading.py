"""Imports: what a file is, by its content, and the adapter that it becomes."""

from __future__ import annotations

from pathlib import Path

import torch

from adapters.base import Adapter
from adapters.bundle import BundleAdapter
from adapters.errors import StudioError
from adapters.files import Header, read_header
from adapters.host import Host
from adapters.identity import FAMILY_TITLES, BaseIdentity, Family
from adapters.labels import with_own_labels
from adapters.lora import LoraAdapter
from adapters.naming import MAX_LENGTH
from adapters.record import AdapterRecord, Concept
from adapters.studio_file import StoredAdapter, load
from adapters.tokens import TokensAdapter, pickle_format
from pipelines.base_models.skeleton import CONFIGS, skeleton
from pipelines.exchange import lora, words

_NO_ADAPTER = {
    "model.diffusion_model.": "a whole model; give it as the base",
    "first_stage_model.": "an autoencoder, which is no adapter",
    "control_model.": "a ControlNet, which this studio does not use",
    "ip_adapter.": "an IP-Adapter, which this studio does not use",
    "image_proj.": "an IP-Adapter, which this studio does not use",
}


def import_file(path: Path, name: str) -> tuple[StoredAdapter, AdapterRecord]:
    """Read the studio's own files, LoRA (diffusers, kohya, LoHa, LoKr) and embeddings, recognised by content.

    `name` is used for files that are not the studio's own. Raises StudioError when it is none of these or
    fits no base family that the studio knows.
    """
    if pickle_format.recognise(path):
        return _words(path, name)
    header = read_header(path)
    if AdapterRecord.from_metadata(header.metadata, path.name) is not None:
        adapter, record = load(path)
        _check_fits(adapter, record.base.family, path.name)
        return adapter, record
    if lora.recognise(header):
        return _lora(path, name, header)
    if words.recognise(header):
        return _words(path, name)
    first = min(header.tensors, default="none")
    known = next((what for start, what in _NO_ADAPTER.items() if any(k.startswith(start) for k in header.tensors)), "")
    raise StudioError(f"'{path.name}' is no LoRA or embedding that this studio knows"
                      + (f": it is {known}." if known else
                         f" (its first tensor is '{first[:60]}'); choose a LoRA or an embedding file."))


def _lora(path: Path, name: str, header: Header) -> tuple[StoredAdapter, AdapterRecord]:
    adapter, family = lora.read(path)
    trigger = header.metadata.get("modelspec.trigger_phrase", "")[:200]
    record = _record("lora", family, name, path).model_copy(update={"trigger": trigger})
    return adapter, with_own_labels(record, header.metadata)


def _words(path: Path, name: str) -> tuple[StoredAdapter, AdapterRecord]:
    found, metadata = words.read(path)
    adapter, family = words.adopt(found, metadata, name, path.name)
    alone = len(adapter.words) == 1
    concepts = tuple(Concept(name=name[:MAX_LENGTH] if alone else words.bare(w), trigger=w, learned=True)
                     for w in adapter.words)
    record = _record("tokens", family, name, path).model_copy(
        update={"trigger": adapter.words[0], "concepts": concepts, "spec": adapter.spec})
    return adapter, with_own_labels(record, metadata)


def _record(kind: str, family: Family, name: str, path: Path) -> AdapterRecord:
    return AdapterRecord(kind=kind, method="imported", name=name[:MAX_LENGTH],
                         base=BaseIdentity(family=family, name="", hash=""), provenance={"file": path.name})


def _check_fits(adapter: Adapter, family: Family, file: str) -> None:
    """Raise StudioError unless a studio file's tensors have a place in its base family."""
    if isinstance(adapter, BundleAdapter):
        for part in adapter.parts.values():
            _check_fits(part, family, file)
        return
    if isinstance(adapter, TokensAdapter):
        _check_shapes({f"{w}.{n}": (None, width) for w in adapter.words
                       for n, width in enumerate(words.widths()[family])}, adapter, family, file)
        return
    if family not in CONFIGS:
        raise StudioError(f"'{file}' is for {FAMILY_TITLES[family]}, of which this studio has no description; update "
                          "the studio.")
    host = skeleton(family)
    if isinstance(adapter, LoraAdapter):
        adapter.weights().check_fits(host, file)
    elif adapter.kind == "perfusion":
        _check_shapes(_perfusion_shapes(host, family), adapter, family, file)
    else:
        _check_shapes({f"{part}.{path}": tuple(p.shape) for part, network in host.components.items()
                       for path, p in network.named_parameters()}, adapter, family, file)


def _perfusion_shapes(host: Host, family: Family) -> dict[str, tuple[int | None, ...]]:
    weights: dict[str, torch.Tensor] = {p: m.weight for p, m in host.cross_attention().items()}
    width = next(iter(weights.values())).shape[1]
    return {"i": (width,), "v": (width,), **{f"target.{p}": (w.shape[0],) for p, w in weights.items()},
            **{f"token.{n}": (1, w) for n, w in enumerate(words.widths()[family])}}


def _check_shapes(wanted: dict[str, tuple[int | None, ...]], adapter: Adapter, family: Family, file: str) -> None:
    """`wanted` names every tensor with its shape; None is any length."""
    found = {k: tuple(t.shape) for k, t in adapter.state().items()}
    odd = sorted(found.keys() ^ wanted.keys()) or [k for k, shape in wanted.items() if len(shape) != len(
        found[k]) or any(n not in (None, m) for n, m in zip(shape, found[k], strict=True))]
    if odd:
        here, there = wanted.get(odd[0], "no such part"), found.get(odd[0], "none")
        raise StudioError(f"'{file}' was trained for another base: {FAMILY_TITLES[family]} has {here} at "
                          f"'{odd[0][:80]}' and the file has {there}; choose the base that it was trained for.")
