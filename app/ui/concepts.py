"""Concepts: the pictures of a draft with captions and masks. Drawn by `static/concepts.js`, kept by the server."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from pipelines.methods import METHODS

STATIC = Path(__file__).parent / "static"
HEAD = (f'<meta name="semblance-methods" content="{",".join(METHODS)}">'
        '<link rel="stylesheet" href="/studio/static/concepts.css">'
        '<script type="module" src="/studio/static/concepts.js"></script>')


def build() -> None:
    """The place that the script fills."""
    gr.HTML('<div id="concepts-room"></div>', padding=False)
