"""What stands in and beside a file for other programs: ModelSpec metadata, the sidecar, and what this studio alone
reads there. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from adapters.identity import FAMILIES
from adapters.record import HEADER_KEY, KINDS, AdapterRecord, Concept

Architecture = Literal["lora", "textual-inversion"]
_BASE_HASH, _KIND, _CONSENT = (f"{HEADER_KEY}_{name}" for name in ("base_hash", "concept_kind", "consent"))


def modelspec(record: AdapterRecord, what: Architecture, phrase: str) -> dict[str, str]:
    """ModelSpec 1.0.0 fields, without those that depend on the file's bytes.

    `phrase` is what to write in a prompt. Source: github.com/Stability-AI/ModelSpec.
    """
    facts = FAMILIES[record.base.family]
    use = f"Write '{phrase}' in the prompt." if phrase else ""
    fields = {
        "sai_model_spec": "1.0.0", "architecture": f"{facts.architectures[record.base.prediction]}/{what}",
        "implementation": "https://github.com/Stability-AI/generative-models", "title": record.name,
        "resolution": facts.resolutions.get(record.base.prediction, ""),
        "date": str(record.provenance.get("created", ""))[:19],
        "trigger_phrase": phrase, "usage_hint": use,
    }
    return {f"modelspec.{name}": text for name, text in fields.items() if text}


def own_labels(record: AdapterRecord) -> dict[str, str]:
    """Metadata for a file of another program's form that this studio finds again: the base's hash, what the concept is,
    and the statement of consent that a person was learned under."""
    labels = {_BASE_HASH: record.base.hash, _KIND: record.concept_kind,
              _CONSENT: str(record.provenance.get("consent", ""))}
    return {key: text for key, text in labels.items() if text}


def with_own_labels(record: AdapterRecord, metadata: Mapping[str, str]) -> AdapterRecord:
    """The record of a foreign file with what `own_labels` once wrote into it; what makes no sense is left out."""
    found: dict[str, Any] = {}
    if re.fullmatch("[0-9a-f]{16}", metadata.get(_BASE_HASH, "")):
        found["base"] = record.base.model_copy(update={"hash": metadata[_BASE_HASH]})
    if (kind := metadata.get(_KIND)) in KINDS:
        concepts = record.concepts or (Concept(name=record.name, trigger=record.trigger),)
        found["concepts"] = tuple(c.model_copy(update={"kind": kind}) for c in concepts)
    if re.fullmatch("[0-9a-f]{12}", metadata.get(_CONSENT, "")):
        found["provenance"] = {**record.provenance, "consent": metadata[_CONSENT]}
    return record.model_copy(update=found)


def sidecar(record: AdapterRecord, phrase: str | None = None, notes: str = "") -> dict[str, str | int]:
    """The `name.json` that A1111 and its kin read beside `name.safetensors`."""
    made = f"Made with Semblance for {record.base.name or record.base.family}."
    return {
        "description": f"{record.class_noun or record.name} ({record.method})",
        "sd version": FAMILIES[record.base.family].a1111,
        "activation text": record.phrase if phrase is None else phrase, "preferred weight": 1, "negative text": "",
        "notes": f"{made} {notes}".strip(),
    }
