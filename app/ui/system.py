"""System: what this machine has, and what is missing."""

from __future__ import annotations

from html import escape

import gradio as gr

from app.studio import Studio
from app.ui.messages import readable


def build(studio: Studio, tab: gr.Tab) -> None:
    """Lay the room out and wire it."""
    table = gr.HTML("Looking at this machine…", elem_id="doctor")

    @readable
    def show() -> str:
        found = studio.examine()
        found["versions"] = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
        found["missing"] = "; ".join(found["missing"]) or "nothing"
        rows = "".join(f"<tr><td><b>{escape(k.replace('_', ' '))}</b></td><td>{escape(str(v))}</td></tr>"
                       for k, v in found.items())
        return f"<table>{rows}</table>"

    tab.select(show, None, table, show_progress="hidden", api_visibility="private")
