"""Train: what a draft is to become, by which method, and what the training is doing."""

from __future__ import annotations

import time
from html import escape
from typing import Any

import gradio as gr

from adapters.errors import StudioError
from app.drafts import Draft
from app.studio import Studio
from app.ui import render, settings
from app.ui.messages import readable
from pipelines.methods import METHODS, config_class
from pipelines.methods.common import MEMORY

_NOTHING_YET = "No training yet. Put pictures together under Concepts, then press Start here."


def method_choices() -> list[tuple[str, str]]:
    """(what it is good for, method)."""
    return [(config_class(m).title, m) for m in METHODS]


def run_choices(studio: Studio) -> list[tuple[str, str]]:
    """(label, id) of every run, newest first."""
    return [(f"{j.name}, {time.strftime('%d %b %H:%M', time.localtime(j.created))}", j.id)
            for j in studio.jobs()]


def draft_choices(studio: Studio) -> list[tuple[str, str]]:
    """(label, id) of every draft with pictures, the last changed first."""
    return [(f"{d.label} ({len(d.shots)} {'picture' if len(d.shots) == 1 else 'pictures'})", d.id)
            for d in studio.drafts.all() if d.shots]


def fitting_method(draft: Draft) -> str:
    """Several things in masked pictures want the method that learns them apart; one thing a LoRA."""
    return "break-a-scene" if len(draft.things) > 1 else "lora"


def build(page: gr.Blocks, studio: Studio, tab: gr.Tab, asked: gr.Textbox) -> None:
    """Lay the room out and wire it; `asked` says which draft the Concepts room sends here."""
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            draft = gr.Dropdown([], label="Draft", elem_id="draft", interactive=True,
                                info="What was put together under Concepts.")
            about = gr.HTML("", elem_id="about-draft")
            method = gr.Radio(method_choices(), value="lora", label="What do you want to learn?", elem_id="method")
            with gr.Accordion("Advanced", open=False):
                preset = gr.Radio([("Fast preview", "fast"), ("Balanced", "balanced"), ("Best", "best")],
                                  value="balanced", label="How thorough", elem_id="preset")
                memory = gr.Radio([("Any", ""), *((f"{m} GB", m) for m in MEMORY)], value="",
                                  label="Graphics memory", elem_id="memory",
                                  info="Settings that should fit such a card; estimated.")
                steps = gr.Number(label="Steps", precision=0, value=None, elem_id="steps",
                                  info="Empty: the preset's.")
                seed = gr.Number(label="Seed", precision=0, value=0, elem_id="train-seed")
                base = gr.Textbox(label="Base model", value="starter", elem_id="train-base",
                                  info="starter, a folder, a .safetensors checkpoint or a hub id.")
                settings.build(method, changed := gr.State({}))
            start = gr.Button("Start", variant="primary", size="lg", elem_id="start")
        with gr.Column(scale=6, min_width=320):
            run = gr.Dropdown([], label="Training", elem_id="run", visible=False, interactive=True)
            panel = gr.HTML(render.empty(_NOTHING_YET), elem_id="status")
            with gr.Row():
                stop = gr.Button("Stop", visible=False, elem_id="stop")
                resume = gr.Button("Resume", visible=False, elem_id="resume")
                keep = gr.Button("Keep last checkpoint", visible=False, elem_id="keep")
    timer = gr.Timer(1.0)
    buttons = (stop, resume, keep)

    def show(selected: str | None) -> list[Any]:
        """Panel and buttons for a run; nothing is greyed out, what has no use is not there."""
        job = studio.store.get(selected or "")
        if job is None:
            return [render.empty(_NOTHING_YET), *(gr.update(visible=False) for _ in buttons)]
        active = job.state in ("queued", "running")
        unfinished = job.state in ("stopped", "failed", "interrupted")
        return [render.run_panel(job, studio.view(job.id)), gr.update(visible=active),
                gr.update(visible=unfinished), gr.update(visible=unfinished)]

    def choose(selected: str | None) -> Any:
        choices = run_choices(studio)
        ids = [c[1] for c in choices]
        chosen = selected if selected in ids else (ids[0] if ids else None)
        return gr.update(choices=choices, value=chosen, visible=bool(choices))

    def drafts(wanted: str | None) -> Any:
        choices = draft_choices(studio)
        ids = [c[1] for c in choices]
        return gr.update(choices=choices, value=wanted if wanted in ids else (ids[0] if ids else None))

    def arrive(wanted: str, current: str | None) -> list[Any]:
        """The draft that "Teach this" was pressed for, once; else the one that was chosen here."""
        return [drafts(wanted or current), ""]

    def load() -> list[Any]:
        chosen = choose(None)
        return [chosen, *show(chosen["value"])]

    @readable
    def take(id: str | None) -> list[Any]:
        """What is in a draft, and the method that fits it."""
        if not id:
            return [render.empty("No pictures yet. Put some together under Concepts."), gr.skip()]
        found = studio.drafts.get(id)
        return [about_draft(found), fitting_method(found)]

    @readable
    def begin(id: str | None, how: str, room: str, count: float | None, start_seed: float | None, model: str, way: str,
              other: dict[str, Any]) -> list[Any]:
        if not id:
            raise StudioError("There are no pictures yet; put some together under Concepts first.")
        started = studio.teach(id, base=model, preset=how, memory=room, method=way, **other,
                               steps=int(count) if count else None, seed=int(start_seed or 0))
        return [choose(started), *show(started)]

    @readable
    def act(verb: str, selected: str) -> list[Any]:
        if verb == "keep":
            gr.Info(f"'{studio.keep(selected)}' is in the library.")
        else:
            {"stop": studio.stop, "resume": studio.resume}[verb](selected)
        return [choose(selected), *show(selected)]

    outputs = [run, panel, *buttons]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    tab.select(arrive, [asked, draft], [draft, asked], **quiet)
    draft.change(take, draft, [about, method], **quiet)
    method.change(lambda: {}, None, changed, **quiet)
    start.click(begin, [draft, preset, memory, steps, seed, base, method, changed], outputs, concurrency_limit=4,
                api_visibility="private")
    for button, verb in ((stop, "stop"), (resume, "resume"), (keep, "keep")):
        button.click(lambda selected, verb=verb: act(verb, selected), run, outputs, **quiet)
    run.input(show, run, [panel, *buttons], **quiet)
    timer.tick(show, run, [panel, *buttons], concurrency_limit=None, **quiet)
    page.load(drafts, draft, draft, **quiet)
    page.load(load, None, outputs, **quiet)


def about_draft(draft: Draft) -> str:
    """Thumbnails and what is still missing, as HTML."""
    place = f"/studio/drafts/{draft.id}/pictures"
    shots = "".join(f'<img alt="{escape(s.name)}" loading="lazy" src="{place}/{s.id}?small=true">'
                    for s in draft.shots[:8])
    things = ", ".join(f"<b>{escape(t.name or 'no name yet')}</b>, a {escape(t.noun or '…')}" for t in draft.things)
    masked = sum(all(t.id in s.masks for t in draft.things) for s in draft.shots)
    masks = f"; masks in {masked} of {len(draft.shots)} pictures" if masked else ""
    return f'<div class="s-about"><div class="s-strip">{shots}</div><p>{things}{masks}</p></div>'
