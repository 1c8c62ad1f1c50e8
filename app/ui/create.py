"""Create: prompts, pictures and their history. Drawn by `static/create.js`, painted and kept by the server."""

from __future__ import annotations

import gradio as gr

HEAD = ('<link rel="stylesheet" href="/studio/static/create.css">'
        '<script type="module" src="/studio/static/create.js"></script>')


def build() -> None:
    """The place that the script fills."""
    gr.HTML('<div id="create-room"></div>', padding=False)
