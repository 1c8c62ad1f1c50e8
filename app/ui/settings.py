"""The method's own settings as a form, made from its configuration: names, ranges, tooltips."""

from __future__ import annotations

import functools
from typing import Any, get_args, get_origin

import gradio as gr
from pydantic.fields import FieldInfo

from pipelines.methods import config_class
from pipelines.methods.common import TrainingConfig

# Asked for elsewhere in the room, or of no use to a person here.
_HIDDEN = frozenset({"method", "steps", "seed", "preview_steps"})


def fields_of(method: str) -> dict[str, FieldInfo]:
    """The settings to show: the method's own first, then those that all methods have."""
    fields = config_class(method).model_fields
    own = [n for n in fields if n not in TrainingConfig.model_fields or
           fields[n].annotation != TrainingConfig.model_fields[n].annotation]
    return {n: fields[n] for n in (*own, *(n for n in fields if n not in own)) if n not in _HIDDEN}


def build(method: gr.Radio, changed: gr.State) -> None:
    """A form that follows `method`; `changed` holds what the person set, everything else is the preset's."""

    @gr.render(inputs=method)
    def form(way: str) -> None:
        gr.Markdown("Empty fields take the preset's value.")
        fields = list(fields_of(way).items())
        for start in range(0, len(fields), 2):
            with gr.Row():
                for name, field in fields[start:start + 2]:
                    component = _component(name, field)
                    component.change(functools.partial(_note, name), [component, changed], changed,
                                     show_progress="hidden", api_visibility="private")


def _note(name: str, value: str | None, so_far: dict[str, Any]) -> dict[str, Any]:
    rest = {k: v for k, v in so_far.items() if k != name}
    return rest if not (value or "").strip() else {**rest, name: {"yes": True, "no": False}.get(value or "", value)}


def _component(name: str, field: FieldInfo) -> Any:
    label, info = name.replace("_", " ").capitalize(), field.description or ""
    if field.annotation is bool:
        return gr.Dropdown(["", "yes", "no"], value="", label=label, info=info, min_width=200)
    if get_origin(field.annotation) is not None and all(isinstance(c, str) for c in get_args(field.annotation)):
        return gr.Dropdown(["", *get_args(field.annotation)], value="", label=label, info=info, min_width=200)
    # Not gr.Number: inside a rendered form it cannot be empty.
    return gr.Textbox("", label=label, info=info, max_length=400 if field.annotation is str else 20, min_width=200)
