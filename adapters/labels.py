"""What other programs read about an adapter: ModelSpec metadata, and the sidecar. Imports no torch."""

from __future__ import annotations

from typing import Literal

from adapters.identity import FAMILIES
from adapters.record import AdapterRecord

Architecture = Literal["lora", "textual-inversion"]

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


def sidecar(record: AdapterRecord, phrase: str | None = None, notes: str = "") -> dict[str, str | int]:
    """The `name.json` that A1111 and its kin read beside `name.safetensors`."""
    made = f"Made with Semblance for {record.base.name or record.base.family}."
    return {
        "description": f"{record.class_noun or record.name} ({record.method})",
        "sd version": FAMILIES[record.base.family].a1111,
        "activation text": record.phrase if phrase is None else phrase, "preferred weight": 1, "negative text": "",
        "notes": f"{made} {notes}".strip(),
    }
