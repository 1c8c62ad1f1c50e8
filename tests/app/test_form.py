"""The settings' form: every setting of every method has a field that fits its type."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from app.ui.settings import _component, _note, fields_of
from pipelines.methods import METHODS
from pipelines.methods.common import resolve

CHOICES = {"optimizer": "adamw8bit", "schedule": "cosine_with_restarts", "quantize": "8bit"}
NUMBERS = {"ema": "0.99", "cycles": "2", "min_snr_gamma": "3"}


@pytest.mark.parametrize("method", METHODS)
def test_choices_are_lists_and_numbers_that_may_be_missing_are_texts(method: str) -> None:
    fields = fields_of(method)
    for name, value in CHOICES.items():
        field = _component(name, fields[name])
        assert isinstance(field, gr.Dropdown) and field.value == "" and value in [c for _, c in field.choices]
        assert field.info
    for name in NUMBERS:
        field = _component(name, fields[name])
        assert isinstance(field, gr.Textbox) and field.value == "" and field.info


def test_what_is_typed_becomes_the_setting_and_an_emptied_field_the_presets() -> None:
    changed: dict[str, Any] = {}
    for name, value in {**CHOICES, **NUMBERS}.items():
        changed = _note(name, value, changed)
    found = resolve("lora", "sd1", **changed).model_dump()
    assert (found["ema"], found["cycles"], found["min_snr_gamma"]) == (0.99, 2, 3.0)
    assert {n: found[n] for n in CHOICES} == CHOICES
    assert "ema" not in _note("ema", "", changed)
