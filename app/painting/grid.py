"""Sheets of pictures at the same seeds: an X/Y grid over two settings, adapters side by side. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from adapters.errors import StudioError
from app.arguments import Use, parse_adapter
from pipelines.methods.common import settings_error
from pipelines.request import Request

MAX_CELLS = 100
CONCEPT = "{}"
"""In a prompt: the words of each column's own adapter, or its noun where there is none."""
_SETS = {"": "no adapter", "*": "as chosen"}
_SETTINGS = {"steps": "Steps", "guidance": "Guidance", "seed": "Seed", "sampler": "Sampler", "schedule": "Schedule",
             "width": "Width", "height": "Height", "strength": "Strength (from a picture)",
             "upscale": "Second pass, times", "upscale_strength": "Second pass, strength",
             "negative_prompt": "Keep away from"}
_DIALS = {"bias": "Bias (Perfusion)", "temperature": "Temperature (Perfusion)", "locking": "Key locking (Perfusion)"}
FIELDS = {"adapter": "Adapter, each alone", "weight": "Adapter strength", "prompt": "Words of the prompt",
          **_SETTINGS, **_DIALS, "base": "Base"}
"""What an axis can go over, and its title."""


class Axis(BaseModel):
    """A setting and the values that it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    field: str
    """'adapter' are NAME or NAME:WEIGHT, each alone, '' for none, '*' for all that are chosen; 'prompt' replaces the
    first value, where it stands in the prompt, by each of them (A1111's 'Prompt S/R'); 'weight' and dials are those
    of all chosen adapters."""
    values: tuple[Annotated[str, StringConstraints(max_length=4000)], ...]
    """In the order of the columns or rows, as text."""


@dataclass(frozen=True)
class Asked:
    """One picture or batch to be: fields of a Request, a base, adapters."""

    request: dict[str, Any]
    base: str = "starter"
    adapters: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """Rows of pictures to be, with what stands beside and above them."""

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Asked, ...], ...]


Words = Callable[[str], tuple[str, str]]
"""An adapter's phrase and its noun."""


def lay_out(asked: Asked, x: Axis | None, y: Axis | None, words: Words) -> Sheet:
    """The sheet over one or two axes; without `y` a row is a seed of the batch.

    Raises StudioError for an axis that makes no sense, a value that is not possible, or too many pictures.
    """
    first = _checked(asked.request)
    down = y or Axis(field="seed", values=tuple(str(first.seed + n) for n in range(first.images)))
    across = x.values if x else ("",)
    if len(across) * len(down.values) > MAX_CELLS:
        raise StudioError(f"That is {len(across) * len(down.values)} pictures, at most {MAX_CELLS} go on one sheet; "
                          "take fewer values.")
    for axis in (x, down):
        if axis is not None and (axis.field not in FIELDS or not axis.values):
            raise StudioError(f"'{axis.field[:40]}' with {len(axis.values)} values is no axis; give values of one of "
                              f"{', '.join(FIELDS)}.")
    if x and x.field == down.field:
        raise StudioError(f"Both axes go over '{x.field}'; choose another setting for one of them.")
    noun = _any_noun([asked, *(_vary(asked, a, v) for a in (x, down) if a and a.field == "adapter" for v in a.values)],
                     words)
    rows = []
    for below in down.values:
        row = _vary(asked, down, below)
        rows.append(tuple(_finished(_vary(row, x, beside) if x else row, words, noun) for beside in across))
    return Sheet(_labels(x, first.private) if x else ("",), _labels(down, first.private), tuple(rows))


def _labels(axis: Axis, private: bool) -> tuple[str, ...]:
    if private and axis.field in ("prompt", "negative_prompt"):  # what is painted beside the pictures is read too
        return tuple(f"{axis.field.replace('_', ' ')} {n + 1}" for n in range(len(axis.values)))
    return tuple(label(axis, value) for value in axis.values)


def label(axis: Axis, value: str) -> str:
    """What stands beside a row or above a column."""
    if axis.field == "adapter":
        return _SETS.get(value, value)
    return value if axis.field in ("prompt", "base") else f"{axis.field.replace('_', ' ')} {value}"


def _checked(request: dict[str, Any]) -> Request:
    try:
        return Request.model_validate(request)
    except ValidationError as error:
        raise settings_error(error) from error


def _vary(asked: Asked, axis: Axis, value: str) -> Asked:
    if axis.field == "adapter":
        if value in _SETS:
            return replace(asked, adapters=asked.adapters if value else ())
        use = parse_adapter(value)
        chosen = {a[0]: a for a in asked.adapters}
        return replace(asked, adapters=(chosen.get(value, use),))
    if axis.field == "base":
        return replace(asked, base=value)
    if axis.field == "prompt":
        if axis.values[0] not in asked.request["prompt"]:
            raise StudioError(f"'{axis.values[0][:60]}' is not in the prompt; begin the values with words that are.")
        return _with(asked, prompt=asked.request["prompt"].replace(axis.values[0], value))
    if axis.field == "weight":
        weight = parse_adapter(f"weight:{value}")[1]
        return replace(asked, adapters=tuple((name, weight, dials) for name, _, dials in _some(asked, axis)))
    if axis.field in _DIALS:
        return replace(asked, adapters=tuple((name, weight, {**dials, axis.field: value})
                                             for name, weight, dials in _some(asked, axis)))
    return _with(asked, **{axis.field: value or None})


def _with(asked: Asked, **fields: Any) -> Asked:
    return replace(asked, request={**asked.request, **fields})


def _some(asked: Asked, axis: Axis) -> Sequence[Use]:
    if not asked.adapters:
        raise StudioError(f"'{axis.field}' is of an adapter, and none is chosen; choose one.")
    return asked.adapters


def _any_noun(every: Sequence[Asked], words: Words) -> str:
    return next((noun for a in every for name, *_ in a.adapters if (noun := words(name)[1])), "")


def _finished(asked: Asked, words: Words, noun: str) -> Asked:
    """One picture, with `{}` filled in, checked."""
    if CONCEPT in asked.request["prompt"]:
        found = words(asked.adapters[0][0])[0] if asked.adapters else noun
        if not found:
            raise StudioError("'{}' in the prompt stands for a concept's words, and none are known here; choose a "
                              "concept that has some, or write the words.")
        asked = _with(asked, prompt=asked.request["prompt"].replace(CONCEPT, found))
    asked = _with(asked, images=1)
    _checked(asked.request)
    return asked
