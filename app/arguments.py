"""Adapters and settings as people write them, on the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapters.errors import StudioError
from adapters.prompt_syntax import take_loras
from pipelines.methods import config_class

Use = tuple[str, float, dict[str, str]]
"""An adapter's name, its strength, and its dials where they are not as trained."""


def check_settings(method: str, given: Iterable[str]) -> None:
    """Raise StudioError when there is no such method, or it has no setting of one of these names."""
    known = set(config_class(method[:40]).model_fields) - {"method"}
    if wrong := set(given) - known:
        raise StudioError(f"'{method}' has no setting '{min(wrong)[:40]}'; see docs/METHODS.md.")


def parse_settings(given: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE pairs of `--set`."""
    pairs = [g.partition("=") for g in given]
    if wrong := [n for n, equals, _ in pairs if not equals]:
        raise StudioError(f"'{wrong[0]}' sets nothing; write NAME=VALUE, such as tuning=full.")
    return {name.strip().replace("-", "_"): value.strip() for name, _, value in pairs}


def parse_adapter(text: str) -> Use:
    """'NAME', 'NAME:WEIGHT' or 'NAME:WEIGHT:DIAL=VALUE,...'; the weight is 1 when not given."""
    name, _, rest = text.partition(":")
    weight, _, turned = rest.partition(":")
    dials = parse_settings([d for d in turned.split(",") if d])
    try:
        strength = float(weight or 1)
    except ValueError:
        strength = float("nan")
    if not abs(strength) <= 10:
        raise StudioError(f"'{text}' is no adapter with a weight; write NAME:WEIGHT with a weight "
                          "from -10 to 10, such as mycat:0.8.")
    return name, strength, dials


def with_tags(prompt: str, adapters: Sequence[Use]) -> tuple[str, list[Use]]:
    """The prompt without its `<lora:name:weight>` tags, and the adapters with those that the tags name.

    Raises StudioError when an adapter is named twice.
    """
    bare, tags = take_loras(prompt)
    every = [*adapters, *((name, weight, {}) for name, weight in tags)]
    names = [name for name, *_ in every]
    if twice := [n for n in names if names.count(n) > 1]:
        raise StudioError(f"The adapter '{twice[0]}' is named twice; name each once, with the weight it should have.")
    return bare, every
