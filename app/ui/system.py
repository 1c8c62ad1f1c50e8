"""System: the machine, its bases, the switches. Drawn by `static/system.js`, kept by the server and the browser."""

from __future__ import annotations

import gradio as gr

HEAD = ('<link rel="stylesheet" href="/studio/static/system.css">'
        '<script type="module" src="/studio/static/system.js"></script>')


def build() -> None:
    """The place that the script fills."""
    gr.HTML('<div id="system-room" class="s-room"></div>', padding=False)
