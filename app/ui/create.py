"""Create: a prompt, a concept at a strength, pictures with and without it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.arguments import Use
from app.painter import Watch
from app.studio import Studio
from app.ui import render
from app.ui.messages import readable
from pipelines.wording import with_article

_NONE = "no concept"


def build(page: gr.Blocks, studio: Studio, tab: gr.Tab) -> None:
    """Lay the room out and wire it."""
    with gr.Row():
        with gr.Column(scale=4, min_width=320):
            concept = gr.Dropdown([_NONE], value=_NONE, label="Concept", elem_id="concept")
            prompt = gr.Textbox(label="Prompt", lines=3, elem_id="prompt", max_length=4000,
                                placeholder="a photo of a cat on the beach")
            negative = gr.Textbox(label="Keep away from", elem_id="negative", max_length=4000)
            strength = gr.Slider(0, 2, 1, step=0.05, label="Concept strength", elem_id="strength")
            with gr.Group(visible=False, elem_id="dials") as dials:
                bias = gr.Slider(0, 1.5, 0.75, step=0.05, label="Bias", elem_id="bias",
                                 info="Lower shows the concept more strongly, higher follows the prompt.")
                temperature = gr.Slider(0.01, 0.5, 0.1, step=0.01, label="Temperature", elem_id="temperature",
                                        info="How softly the concept sets in.")
                locking = gr.Radio(["local", "global"], value="local", label="Key locking", elem_id="locking",
                                   info="At the concept's word alone, or for the whole prompt.")
            compare = gr.Checkbox(True, label="Also without the concept, side by side",
                                  elem_id="compare")
            with gr.Row():
                images = gr.Slider(1, 8, 2, step=1, label="Pictures", elem_id="images")
                seed = gr.Number(0, precision=0, label="Seed", elem_id="seed", minimum=0)
            with gr.Accordion("Advanced", open=False):
                steps = gr.Slider(1, 100, 20, step=1, label="Steps", elem_id="gen-steps")
                guidance = gr.Slider(1, 15, 4, step=0.5, label="Guidance", elem_id="guidance")
                base = gr.Textbox(label="Base model", value="starter", elem_id="base",
                                  info="starter, a folder, a .safetensors checkpoint or a hub id.")
            paint = gr.Button("Paint", variant="primary", size="lg", elem_id="paint")
        with gr.Column(scale=7, min_width=320):
            output = gr.HTML(render.empty("Your pictures appear here. Write a prompt and press Paint."),
                             elem_id="output")

    def refresh(current: str) -> Any:
        names = [e.name for e in studio.library.entries()]
        return gr.update(choices=[_NONE, *names], value=current if current in names else _NONE)

    @readable
    def chosen(name: str, text: str) -> list[Any]:
        """Put the concept's words into the prompt, and its base below it."""
        if name == _NONE:
            return [gr.skip(), gr.skip(), gr.update(visible=False), gr.skip(), gr.skip()]
        entry = studio.library.get(name)
        phrase = entry.record.phrase
        if phrase not in text:
            old = next((e.record.phrase for e in studio.library.entries()
                        if e.record.phrase and e.record.phrase in text), "")
            text = text.replace(old, phrase) if old else f"a photo of {with_article(phrase or name)}"
        spec = entry.record.spec
        return [text, entry.base_spec or gr.skip(), gr.update(visible=entry.record.kind == "perfusion"),
                spec.get("bias", gr.skip()), spec.get("temperature", gr.skip())]

    @readable
    def run(name: str, text: str, away: str, weight: float, both: bool, count: float, start: float,
            rounds: float, pull: float, model: str, beta: float, tau: float, lock: str,
            progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008
        request = {"prompt": text, "negative_prompt": away, "seed": int(start or 0),
                   "steps": int(rounds), "guidance": pull, "images": int(count)}
        sides: list[Sequence[Use]] = [[]]
        if name != _NONE:
            turned = {"bias": str(beta), "temperature": str(tau), "locking": lock}
            sides = [[(name, weight, turned if studio.library.get(name).record.kind == "perfusion" else {})]]
        if both and name != _NONE:
            sides.append([])
        files: list[list[Path]] = []
        for number, adapters in enumerate(sides):
            files.append(studio.generate(
                request, base=model, adapters=adapters,
                watch=Watch(lambda done, total, n=number: progress(
                    (n * total + done, len(sides) * total), desc="Painting"))))
        return render.pictures(files[0], files[1] if len(files) > 1 else [], int(start or 0))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    tab.select(refresh, concept, concept, **quiet)
    page.load(refresh, concept, concept, **quiet)
    concept.input(chosen, [concept, prompt], [prompt, base, dials, bias, temperature], **quiet)
    paint.click(run, [concept, prompt, negative, strength, compare, images, seed, steps, guidance, base, bias,
                      temperature, locking], output, api_visibility="private", concurrency_limit=2)
