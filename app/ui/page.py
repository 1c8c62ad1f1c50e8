"""The page: header and rooms."""

from __future__ import annotations

import gradio as gr

from app.studio import Studio
from app.ui import concepts, create, library_room, system, train

_BRAND = ('<div id="brand"><h1>Semblance</h1><span>Teach a picture model a thing you love, then put it '
          "anywhere.</span></div>")

HEAD = concepts.HEAD + library_room.HEAD + system.HEAD


def build(studio: Studio) -> gr.Blocks:
    """The whole page for one studio."""
    with gr.Blocks(title="Semblance", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.HTML(_BRAND)
        # Written by the Concepts room's script; a component that is not visible would not be in the page.
        asked = gr.Textbox(elem_id="chosen-draft", elem_classes="s-unseen", show_label=False, container=False)
        with gr.Tabs():
            with gr.Tab("Concepts", id="concepts"):
                concepts.build()
            with gr.Tab("Train", id="train") as tab:
                train.build(page, studio, tab, asked)
            with gr.Tab("Create", id="create") as tab:
                create.build(page, studio, tab)
            with gr.Tab("Library", id="library"):
                library_room.build()
            with gr.Tab("System", id="system"):
                system.build()
    return page
