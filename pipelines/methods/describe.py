"""The methods' settings as a page: `python -m pipelines.methods.describe` prints docs/METHODS.md.

Made from the configurations, so a new method is on it by itself. Imports no torch.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from pipelines.methods import METHODS, config_class
from pipelines.methods.common import MEMORY, PRESET_NAMES, TrainingConfig
from pipelines.shipped import PRESETS

_SIGNS = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))


def kind_of(field: FieldInfo) -> str:
    """What a field takes, in a few words."""
    if field.annotation is bool:
        return "true, false"
    choices = [c for c in get_args(field.annotation) if isinstance(c, str)]
    if get_origin(field.annotation) is not None and choices:
        return ", ".join(choices)
    names: dict[Any, str] = {int: "whole number", float: "number", str: "text"}
    name = names.get(field.annotation, "number or none")
    limits = " ".join(f"{sign} {getattr(m, key):g}" for kind, key, sign in _SIGNS for m in field.metadata
                      if isinstance(m, kind))
    return f"{name} {limits}".strip()


def own_fields(method: str) -> dict[str, FieldInfo]:
    """The settings that the method adds, or gives another default or meaning."""
    common, mine = TrainingConfig.model_fields, config_class(method).model_fields
    found = {n: f for n, f in mine.items() if n != "method" and (
        n not in common or f.default != common[n].default or f.description != common[n].description)}
    return dict(sorted(found.items(), key=lambda item: item[0] in common))


def _table(fields: dict[str, FieldInfo]) -> list[str]:
    rows = ["| setting | takes | default | |", "|---|---|---|---|"]
    for name, field in fields.items():
        default = "from the preset" if field.is_required() else f"{field.default}".lower()
        text = " ".join((field.description or "").split())
        rows.append(f"| `{name}` | {kind_of(field)} | {default} | {text} |")
    return rows


def _presets(method: str) -> list[str]:
    tables: dict[str, Any] = tomllib.loads((PRESETS / f"{method}.toml").read_text("utf-8"))
    rows = ["| preset | Stable Diffusion | starter |", "|---|---|---|"]
    for name in PRESET_NAMES:
        cells = [", ".join(f"{k} {v}" for k, v in table.items() if not k.endswith("_every"))
                 for table in (tables[name], tables.get("starter", {}).get(name, {}))]
        rows.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return rows


def _changes(table: Mapping[str, Any]) -> str:
    """A memory table in words."""
    words = [f"at most {v} at a time" if k == "batch" else f"{k} {v}".lower() if isinstance(v, bool) else f"{k} {v}"
             for k, v in table.items() if k not in PRESET_NAMES]
    presets = [f"{preset}: {_changes(table[preset])}" for preset in PRESET_NAMES if preset in table]
    return "; ".join([", ".join(words), *presets] if words else presets)


def _memory(method: str) -> list[str]:
    tables: dict[str, Any] = tomllib.loads((PRESETS / f"{method}.toml").read_text("utf-8"))
    general, large = tables["memory"], tables["sdxl"]["memory"]
    rows = ["| `--memory` | Stable Diffusion 1.x, 2.x | Stable Diffusion XL |", "|---|---|---|"]
    for size in MEMORY:
        cells = [_changes(sizes[size]) or "as it is" if size in sizes else "does not fit" for sizes in (general, large)]
        rows.append(f"| {size} GB | {cells[0]} | {cells[1]} |")
    return rows


def page() -> str:
    """The whole of docs/METHODS.md."""
    lines = ["# Methods", "",
             "Printed by `python -m pipelines.methods.describe` from the methods' configurations. On the command",
             "line every setting is `--set NAME=VALUE`; in the browser it stands under Advanced.", "",
             "What `--memory` (in the browser: Graphics memory) changes of a preset is **estimated** from the sizes of",
             "weights and activations; none of it was tried on such a card. Where it shows fewer pictures to the base",
             "at a time, `accumulate` makes up for it. The starter fits everywhere as it is. What `optimizer`,",
             "`quantize` and `--tensorboard` need beyond the usual packages is in `requirements-extras.txt`."]
    for method in METHODS:
        config = config_class(method)
        lines += ["", f"## {method}", "", f"{config.title}. {' '.join((config.__doc__ or '').split())}", "",
                  *_table(own_fields(method)), "", *_presets(method), "", *_memory(method)]
    lines += ["", "## Settings of every method", "",
              *_table({n: f for n, f in TrainingConfig.model_fields.items() if n != "method"})]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
