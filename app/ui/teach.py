"""Teach: pictures, a name, a class noun, Start; and what the training is doing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.studio import Studio
from app.ui import render, settings
from app.ui.messages import readable
from pipelines.dataset_folders import Dataset
from pipelines.masks import assign_masks
from pipelines.methods import METHODS, config_class
from pipelines.methods.common import MEMORY
from pipelines.wording import parse_concepts

_NOTHING_YET = ("No training yet. Drop 4 to 6 pictures of one thing on the left, name it, say what it "
                "is, and press Start.")


def method_choices() -> list[tuple[str, str]]:
    """(what it is good for, method)."""
    return [(config_class(m).title, m) for m in METHODS]


def masks_of(pictures: Sequence[Path], masks: Sequence[Path]) -> list[list[Path]]:
    """Uploaded masks by their names; without such names, in their order for a single picture."""
    found = assign_masks(pictures, masks)
    return [list(masks)] if len(pictures) == 1 and not any(found) else found


def run_choices(studio: Studio) -> list[tuple[str, str]]:
    """(label, id) of every run, newest first."""
    return [(f"{j.name}, {time.strftime('%d %b %H:%M', time.localtime(j.created))}", j.id)
            for j in studio.jobs()]


def build(page: gr.Blocks, studio: Studio) -> None:
    """Lay the room out and wire it."""
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            gr.Markdown("### Your pictures")
            gallery = gr.Gallery(label="Drop 1 to 30 pictures of one thing", type="filepath",
                                 interactive=True, file_types=["image"], columns=3, height=250,
                                 object_fit="cover", buttons=[], elem_id="references")
            with gr.Row():
                name = gr.Textbox(label="Name", placeholder="mycat", elem_id="name", max_length=64,
                                  info="Yours to choose; letters and digits.")
                noun = gr.Textbox(label="What is it?", placeholder="cat", elem_id="noun", max_length=40,
                                  info="A plain noun the model knows.")
            method = gr.Radio(method_choices(), value="lora", label="What do you want to learn?", elem_id="method")
            with gr.Group(visible=False) as scene:
                masks = gr.File(label="Masks: mask0.png, mask1.png, … white where each thing is", file_count="multiple",
                                file_types=["image"], type="filepath", elem_id="masks", height=120)
                concepts = gr.Textbox(label="The things behind the masks", elem_id="concepts",
                                      placeholder="bear:toy, cup:mug",
                                      info="NAME:NOUN for each mask, in their order; empty: made up.")
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

    def load() -> list[Any]:
        chosen = choose(None)
        return [chosen, *show(chosen["value"])]

    @readable
    def begin(pictures: Sequence[tuple[str, str | None]] | None, title: str, what: str, how: str, room: str,
              count: float | None, start_seed: float | None, model: str, way: str, drawn: Sequence[str] | None,
              named: str, other: dict[str, Any]) -> list[Any]:
        paths = [Path(p) for p, _ in pictures or []]
        dataset, given = Dataset.of(paths), dict[str, Any]()
        if config_class(way).needs_masks:
            dataset = Dataset.of(paths, masks_of(paths, [Path(m) for m in drawn or []]))
            given = {"concepts": parse_concepts(named or "")}
        started = studio.start_training(dataset, title, what, base=model, preset=how, memory=room, method=way, **given,
                                        **other, steps=int(count) if count else None,
                                        seed=int(start_seed or 0))
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
    method.change(lambda way: (gr.update(visible=config_class(way).needs_masks), {}), method, [scene, changed], **quiet)
    start.click(begin, [gallery, name, noun, preset, memory, steps, seed, base, method, masks, concepts, changed],
                outputs, concurrency_limit=4,
                api_visibility="private")
    for button, verb in ((stop, "stop"), (resume, "resume"), (keep, "keep")):
        button.click(lambda selected, verb=verb: act(verb, selected), run, outputs, **quiet)
    run.input(show, run, [panel, *buttons], **quiet)
    timer.tick(show, run, [panel, *buttons], concurrency_limit=None, **quiet)
    page.load(load, None, outputs, **quiet)
