"""A model card for an adapter: what it is, what it was made from, what was measured, what it cannot do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from adapters.identity import FAMILIES
from adapters.record import AdapterRecord

_TAGS = {"lora": ["lora", "template:sd-lora"], "tokens": ["textual_inversion"], "perfusion": ["perfusion"],
         "bundle": ["lora", "textual_inversion"], "full": ["full-finetune"]}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SHOWN = ("steps", "batch", "accumulate", "learning_rate", "word_rate", "rank", "alpha", "layers", "vectors", "bias",
          "temperature", "seed", "optimizer")
_SPECIAL, _LONGEST = re.compile(r"([\\`<>\[\]])"), 200
_FIGURES = ("identity", "prompt", "retrieval", "copied", "diversity", "prior_collapse")
_BY = re.compile(r"^By (.+) on (\d+) pictures, ", re.MULTILINE)
_FIGURE = re.compile(r"^\| ([a-z ]+) \| (-?[\d.]+)(?: ± ([\d.]+))? \|$", re.MULTILINE)


def model_card(record: AdapterRecord, figures: Mapping[str, Any] | None = None, notes: Sequence[str] = (), *,
               exported: bool = False) -> str:
    """The card as Markdown with the hub's header, filled as diffusers' own training scripts fill it.

    `figures` are those of `evaluate`, where it was run, `notes` what there is to know of the file that the card lies
    beside; that file is in a form of other programs where it was `exported`, and `kind` is what it holds.
    """
    facts = FAMILIES[record.base.family]
    loads = exported or record.kind == "lora"  # of the studio's own files diffusers reads a LoRA's alone
    prompt = " and ".join(c.phrase for c in record.concepts) or record.phrase
    data = ModelCardData(
        library_name="diffusers" if loads else None, pipeline_tag="text-to-image", license=facts.licence,
        # The hub looks for a model of that name: a folder or file of this machine is none.
        base_model=record.base.name if _HUB_ID.fullmatch(record.base.name) else None,
        tags=list(dict.fromkeys(["text-to-image", *(["diffusers"] if loads else []), *facts.tags, "semblance",
                                 record.method, *_TAGS.get(record.kind, [])])),
        instance_prompt=record.phrase or None, widget=[{"text": f"a photo of {prompt}"}] if prompt else None)
    parts = [f"# {_text(record.name)}", _what(record, facts.title), _words(record), _notes(notes), _made_from(record),
             _figures(figures), _limits(record)]
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(p for p in parts if p) + "\n"))


def read_figures(card: str) -> dict[str, Any]:
    """The figures that stand in a card, as `model_card` takes them; empty when nothing was measured."""
    part = card.partition("\n## Measured\n")[2].partition("\n## ")[0]
    rows = {k.replace(" ", "_"): (float(v), half) for k, v, half in _FIGURE.findall(part) if _number(v)}
    found: dict[str, Any] = {k: v for k, (v, _) in rows.items() if k in _FIGURES}
    if found and (by := _BY.search(part)):
        found |= {"encoder": by[1], "images": int(by[2])}
    if halves := {k: float(half) for k, (_, half) in rows.items() if k in found and _number(half)}:
        found["interval"] = halves
    return found


def _number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def renamed_card(card: str, old: str, new: str) -> str:
    """The card with its title and its first row of words under the new name; all else stays as it is."""
    return card.replace(f"\n# {old}\n", f"\n# {new}\n", 1).replace(f"\n| {old} | `", f"\n| {new} | `", 1)


def _what(record: AdapterRecord, title: str) -> str:
    base = record.base.name or record.base.family
    said = f"An adapter for {title}, learned with {_code(record.method)} on the base {_code(base)}"
    return f"{said} (weights {_text(record.base.hash)})." if record.base.hash else f"{said}."


def _words(record: AdapterRecord) -> str:
    if not record.concepts and not record.phrase:
        return "Its trigger word is not known."
    rows = [(c.name, c.phrase, c.noun) for c in record.concepts] or [(record.name, record.phrase, record.class_noun)]
    return "## Words\n" + _table(("concept", "in a prompt", "what it is"), [
        (_text(n), _code(p), _text(w)) for n, p, w in rows])


def _notes(notes: Sequence[str]) -> str:
    return "## This file\n" + "\n".join(f"* {note[:1].upper()}{note[1:]}." for note in notes) if notes else ""


def _made_from(record: AdapterRecord) -> str:
    told = record.provenance
    found = told.get("config")
    config: dict[str, Any] = found if isinstance(found, dict) else {}
    rows = [(key, _text(config[key])) for key in _SHOWN if config.get(key) is not None]
    hashes = told.get("images_sha256")
    images = [str(h) for h in hashes] if isinstance(hashes, Sequence) and not isinstance(hashes, str) else []
    text = "## Made from\n"
    text += f"{len(images)} pictures, by SHA-256: {', '.join(_code(h[:16]) for h in images)}.\n" if images else \
        "The pictures are not known.\n"
    if created := told.get("created"):
        text += f"Made on {_text(created)}.\n"
    return text + ("\n" + _table(("setting", "value"), rows) if rows else "")


def _figures(figures: Mapping[str, Any] | None) -> str:
    if not figures:
        return "## Measured\nNothing yet; `evaluate` measures likeness and prompt following."
    intervals = figures.get("interval") or {}
    rows = []
    for key in _FIGURES:
        if figures.get(key) is not None:
            half = intervals.get(key) if isinstance(intervals, Mapping) else None
            rows.append((key.replace("_", " "), f"{figures[key]}" + (f" ± {half}" if half is not None else "")))
    return (f"## Measured\nBy {figures.get('encoder', 'an unnamed encoder')} on {figures.get('images', '?')} pictures, "
            "95% intervals over prompts.\n\n") + _table(("figure", "value"), rows)


def _limits(record: AdapterRecord) -> str:
    return ("## Limits\nIt knows what its pictures show, from the sides they show it. It works on bases of its family "
            "alone, and best on the one it was learned on. The base's licence holds for it, and so do the rights in "
            "the pictures that it was made from.")


def _text(value: object) -> str:
    """One line that is no Markdown and no HTML: what a file from elsewhere says of itself may be anything."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split())[:_LONGEST])


def _code(value: object) -> str:
    return f"`{' '.join(str(value).replace('`', '').split())[:_LONGEST]}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)
