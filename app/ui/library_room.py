"""Library: the adapters as cards. Drawn by `static/library.js`, kept by the server."""

from __future__ import annotations

import gradio as gr

HEAD = ('<link rel="stylesheet" href="/studio/static/library.css">'
        '<script type="module" src="/studio/static/library.js"></script>')


def build() -> None:
    """The place that the script fills."""
    gr.HTML('<div id="library-room" class="s-room"></div>', padding=False)
