"""Small pieces of HTML. Everything that a person typed goes through `escape`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from app.runs import RunView
from app.store import Job

_STATES = {"queued": "waiting", "running": "training", "finished": "ready", "stopped": "stopped",
           "failed": "failed", "interrupted": "interrupted"}


def empty(text: str) -> str:
    """A place where nothing is yet, saying what to do."""
    return f'<div class="s-empty">{escape(text)}</div>'


def duration(seconds: float) -> str:
    """'45 s', '3 min 20 s' or '2 h 5 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def loss_curve(losses: Sequence[tuple[int, float]], total: int) -> str:
    """The smoothed loss over the raw one, as inline SVG of at most 300 points."""
    if len(losses) < 2:
        return ""
    smooth, mean = [], losses[0][1]
    for step, value in losses:
        mean += 0.05 * (value - mean)
        smooth.append((step, mean))
    top = max(v for _, v in losses) * 1.05 or 1.0
    every = max(len(losses) // 300, 1)

    def points(series: Sequence[tuple[int, float]]) -> str:
        return " ".join(f"{40 + 550 * s / max(total, 1):.1f},{112 - 100 * v / top:.1f}"
                        for s, v in series[::every])

    return (
        '<svg viewBox="0 0 600 136" role="img" aria-label="Loss by step" style="width:100%;height:auto">'
        '<line x1="40" y1="112" x2="590" y2="112" stroke="currentColor" opacity=".25"/>'
        f'<text x="34" y="18" text-anchor="end" font-size="11" fill="currentColor">{top:.2f}</text>'
        '<text x="34" y="115" text-anchor="end" font-size="11" fill="currentColor">0</text>'
        f'<text x="590" y="130" text-anchor="end" font-size="11" fill="currentColor">step {total}</text>'
        '<text x="40" y="130" font-size="11" fill="currentColor">loss (thin: each step, bold: smoothed)</text>'
        f'<polyline points="{points(losses)}" fill="none" stroke="#c2410c" opacity=".28"/>'
        f'<polyline points="{points(smooth)}" fill="none" stroke="#c2410c" stroke-width="2.5"/></svg>'
    )


def previews(job: Job, view: RunView) -> str:
    """Steps across, prompts down; the first column is the same seed without the adapter."""
    if not view.previews:
        return ""
    steps = sorted(view.previews)
    columns = []
    for step in steps:
        title = "without adapter" if step == 0 else f"step {step}"
        shots = "".join(
            f'<img loading="lazy" alt="Preview {number + 1}, {title}" '
            f'src="/studio/runs/{quote(job.id)}/previews/{quote(file)}">'
            for number, file in sorted(view.previews[step].items()))
        columns.append(f'<div class="{"base" if step == 0 else ""}"><small>{title}</small>{shots}</div>')
    return f'<div class="s-previews" id="previews">{"".join(columns)}</div>'


def run_panel(job: Job, view: RunView) -> str:
    """One run: state, progress, time left, loss, previews."""
    done = 100 * view.step / view.total if view.total else 0
    facts = [("step", f"{view.step} of {view.total}" if view.total else "-")]
    if view.losses:
        facts.append(("loss", f"{view.losses[-1][1]:.4f}"))
    if job.state == "running" and view.losses:
        facts.append(("time left", duration(view.seconds_left)))
    if view.seconds_per_step:
        facts.append(("a step", f"{view.seconds_per_step:.2f} s"))
    if view.first_preview_seconds:
        facts.append(("first preview after", duration(view.first_preview_seconds)))
    notes = [f'<div class="s-note">{escape(w)}</div>' for w in view.warnings]
    if job.message:
        notes.append(f'<div class="s-note bad">{escape(job.message)}</div>')
    if job.state == "finished" and view.trigger:
        notes.append('<div class="s-note good">Ready. Choose it under Create; its prompt words are '
                     f"<b>{escape(view.trigger)}</b>.</div>")
    if job.state == "queued":
        notes.append('<div class="s-note">Waiting for the training before it.</div>')
    stage = view.stage if job.state == "running" else _STATES[job.state]
    return (
        f'<div class="s-panel" id="run-panel" data-state="{job.state}" data-step="{view.step}">'
        f'<div class="s-head"><b>{escape(job.name)}</b>'
        f'<span class="s-state" data-state="{job.state}">{escape(stage)}</span></div>'
        f'<div class="s-bar" role="progressbar" aria-valuenow="{done:.0f}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-label="Training progress"><i style="width:{done:.1f}%"></i></div>'
        '<div class="s-facts">'
        + "".join(f"<div><small>{k}</small><b>{v}</b></div>" for k, v in facts)
        + f'</div>{"".join(notes)}{loss_curve(view.losses, view.total)}{previews(job, view)}</div>'
    )


def pictures(with_adapter: Sequence[Path], without: Sequence[Path], seed: int) -> str:
    """Painted pictures; beside each, where asked for, the same seed without the adapter."""
    def figure(path: Path, caption: str) -> str:
        source = f"/studio/images/{quote(path.name)}"
        return (f'<figure><a href="{source}" download><img src="{source}" alt="{escape(caption)}"></a>'
                f"<figcaption>{escape(caption)}</figcaption></figure>")

    if not without:
        cells = [figure(p, f"seed {seed + n}") for n, p in enumerate(with_adapter)]
        return f'<div class="s-grid" id="pictures" data-count="{len(cells)}">{"".join(cells)}</div>'
    cells = [f'<div class="s-pair">{figure(a, f"with, seed {seed + n}")}{figure(b, "without")}</div>'
             for n, (a, b) in enumerate(zip(with_adapter, without, strict=True))]
    return (f'<div class="s-grid" style="grid-template-columns:repeat(auto-fill,minmax(340px,1fr))" '
            f'id="pictures" data-count="{2 * len(cells)}">{"".join(cells)}</div>')
