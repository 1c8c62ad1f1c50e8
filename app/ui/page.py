"""The page: header and rooms."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from app.ui import concepts, create, library_room, system, train

_BRAND = ('<div id="brand"><h1>Semblance</h1><span>Teach a picture model a thing you love, then put it '
          "anywhere.</span></div>")

ACCOUNT = '<script type="module" src="/studio/static/account.js"></script>'
"""Who is logged in, where there are logins."""

HEAD = concepts.HEAD + train.HEAD + create.HEAD + library_room.HEAD + system.HEAD


def build(add_verbs: Callable[[], None] | None = None) -> gr.Blocks:
    """The whole page; its scripts ask the server whose studio it is. `add_verbs` adds what gradio_client calls."""
    with gr.Blocks(title="Semblance", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.HTML(_BRAND)
        with gr.Tabs():
            with gr.Tab("Concepts", id="concepts"):
                concepts.build()
            with gr.Tab("Train", id="train"):
                train.build()
            with gr.Tab("Create", id="create"):
                create.build()
            with gr.Tab("Library", id="library"):
                library_room.build()
            with gr.Tab("System", id="system"):
                system.build()
        if add_verbs:
            add_verbs()
    return page
