"""Train: method cards, the queue and the runs. Drawn by `static/train.js` over HTTP; the studio keeps it all."""

from __future__ import annotations

import gradio as gr

HEAD = ('<link rel="stylesheet" href="/studio/static/train.css">'
        '<script type="module" src="/studio/static/train.js"></script>')


def build() -> None:
    """The place that the script fills."""
    gr.HTML('<div id="train-room" class="s-room"></div>', padding=False)
