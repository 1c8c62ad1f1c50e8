"""Handlers whose StudioErrors become messages that a person can read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from html import escape
from typing import ParamSpec, TypeVar

import gradio as gr

from adapters.errors import StudioError

P = ParamSpec("P")
R = TypeVar("R")


def readable(handler: Callable[P, R]) -> Callable[P, R]:
    """Show a StudioError of `handler` as Gradio's error message, without a traceback."""

    @functools.wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except StudioError as error:
            raise gr.Error(escape(str(error)), duration=12, title="", print_exception=False) from error

    return wrapped
