"""Library: the adapters as cards, download, import, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.studio import Studio
from app.ui import render
from app.ui.messages import readable


def build(page: gr.Blocks, studio: Studio, tab: gr.Tab) -> None:
    """Lay the room out and wire it."""
    cards = gr.HTML(elem_id="library")
    with gr.Row():
        with gr.Column():
            gr.Markdown("### Import\nA LoRA or an embedding of any program; it is recognised by its content.")
            upload = gr.File(label="Drop a .safetensors file", file_types=[".safetensors", ".pt", ".bin"],
                             type="filepath", elem_id="import", height=120)
        with gr.Column():
            gr.Markdown("### Delete\nIt goes into the data folder's `trash`, from where it can come back.")
            name = gr.Dropdown([], label="Adapter", elem_id="delete-name")
            delete = gr.Button("Delete", elem_id="delete")

    def show() -> list[Any]:
        entries = studio.library.entries()
        there = [studio.library.thumbnail(e.name).is_file() for e in entries]
        names = [e.name for e in entries]
        return [render.library_cards(entries, there),
                gr.update(choices=names, value=names[0] if names else None)]

    @readable
    def bring(path: str | None) -> list[Any]:
        if path:
            gr.Info(f"'{studio.import_file(Path(path)).name}' is in the library.")
        return [*show(), None]

    @readable
    def remove(which: str | None) -> list[Any]:
        if which:
            studio.library.delete(which)
            gr.Info(f"'{which}' is in the trash.")
        return show()

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    outputs = [cards, name]
    tab.select(show, None, outputs, **quiet)
    page.load(show, None, outputs, **quiet)
    upload.upload(bring, upload, [*outputs, upload], api_visibility="private")
    delete.click(remove, name, outputs, **quiet)
