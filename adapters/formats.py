"""Which files of other programs an adapter can be written as. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.errors import StudioError
from adapters.record import AdapterRecord

FORMATS = ("diffusers", "kohya", "a1111", "studio")
DEFAULT_RANK = 32
"""Of a LoRA that only comes near an adapter, where none is asked for."""

_EXACT: dict[frozenset[str], tuple[str, ...]] = {
    frozenset({"lora"}): ("diffusers", "kohya", "studio"),
    frozenset({"tokens"}): ("diffusers", "a1111", "studio"),
    frozenset({"tokens", "lora"}): ("diffusers", "kohya", "studio"),
}
_APPROXIMATE = ("diffusers", "kohya")
_REASONS = {
    "perfusion": "a Perfusion concept, whose edit of each token is gated by how much of the concept is in it, and a "
                 "LoRA has no gate",
    "full": "a fully tuned model, whose change of each weight has full rank, and a LoRA's has a low one",
}
_INSTEAD = {
    ("lora", "a1111"): "a LoRA, and a1111 is a form of embeddings; choose kohya, which A1111 reads as well",
    ("tokens", "kohya"): "a learned word, and kohya is a form of LoRAs; choose a1111 or diffusers",
}


def kinds_of(record: AdapterRecord) -> frozenset[str]:
    """The adapter kinds that it is made of: its own, or those of a bundle's parts."""
    parts = record.spec.get("parts")
    if record.kind != "bundle" or not isinstance(parts, Mapping):
        return frozenset({record.kind})
    return frozenset(str(p.get("kind")) for p in parts.values() if isinstance(p, Mapping))


def formats_of(record: AdapterRecord) -> tuple[str, ...]:
    """The formats that hold all of it, best known first; every adapter has the studio's own."""
    return _EXACT.get(kinds_of(record), ("studio",))


def near_formats(record: AdapterRecord) -> tuple[str, ...]:
    """The formats that only come near it, by a LoRA; empty for what can be written whole."""
    return _APPROXIMATE if any(kind in _REASONS for kind in kinds_of(record)) else ()


def title(record: AdapterRecord, format: str) -> str:
    """What to call its file in `format`: 'kohya LoRA', 'a1111 embedding', 'diffusers LoRA + words'."""
    if format == "studio":
        return "studio file"
    kinds = kinds_of(record)
    return f"{format} embedding" if kinds == {"tokens"} else f"{format} LoRA" + " + words" * ("tokens" in kinds)


def check_format(record: AdapterRecord, format: str, *, approximate: bool = False) -> None:
    """Raise StudioError, with the reason, unless it can be written in `format`."""
    if format not in FORMATS:
        raise StudioError(f"There is no format '{format}'; choose one of: {', '.join(FORMATS)}.")
    if format in formats_of(record):
        return
    kinds = kinds_of(record)
    if reason := next((r for kind, r in _REASONS.items() if kind in kinds), ""):
        if approximate and format in _APPROXIMATE:
            return
        raise StudioError(f"'{record.name}' is {reason}, so it cannot be written as {format}; choose studio, or what "
                          f"comes near it, a {' or '.join(_APPROXIMATE)} LoRA (on the command line: --approximate).")
    instead = _INSTEAD.get(("lora" if "lora" in kinds else record.kind, format),
                           f"a {record.kind} adapter; choose {' or '.join(formats_of(record))}")
    raise StudioError(f"'{record.name}' cannot be written as {format}: it is {instead}.")
