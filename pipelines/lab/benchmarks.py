"""Speed as Markdown: docs/benchmarks.md, and the same sections for the report. Nothing is typed in."""

from __future__ import annotations

from typing import Any

from pipelines.lab.tables import markdown
from pipelines.methods import METHODS

NOT_MEASURED = "not measured"
SHAPES = ("Stable Diffusion 1.5 at 512", "Stable Diffusion XL at 1024")
RUN_HEAD = ("method", "wall efficiency", "steps", "start to usable adapter", "start to first step",
            "start to first preview", "peak memory")
ON_A_CARD = ("steps a second", "peak memory", "share of the card's matrix rate", "with regional compile",
             "pictures a second, adapters exchanged")


def page(figures: dict[str, Any]) -> str:
    """docs/benchmarks.md from the report's figures."""
    parts = ["# Benchmarks\n\nWritten by `make report` from what `python -m app bench --write` and "
             "`make peers` measured. Loop efficiency is a bare loop's time over the studio's for the same steps (the "
             "bare loop shares no code with the trainer); wall efficiency is the bare steps' time over that from the "
             "start to a usable adapter.\n"]
    parts.append(speed_section(figures["speed"]) if figures["speed"] else f"## Speed\n\n{NOT_MEASURED} on this base.\n")
    parts.append(peers_section(figures["peers"]) if figures["peers"]
                 else f"## Beside diffusers' own scripts\n\n{NOT_MEASURED} on this base.\n")
    return "\n".join([*parts, card_section()])


def card_section() -> str:
    """What only a graphics card can say, as long as none has been at hand."""
    rows = [[shape, f"`{method}`", *([NOT_MEASURED] * len(ON_A_CARD))] for shape in SHAPES for method in METHODS]
    return ("## On a graphics card\n\nRandom weights of the full shapes in bf16. No card has been at hand so far.\n\n"
            + markdown(["base", "method", *ON_A_CARD], rows))


def speed_section(speed: dict[str, Any]) -> str:
    """Loop and wall efficiency, growth and switching, from `speed.json`."""
    rows = [[f"`{m}`", f"{e['ratio']:.3f}", f"{e['lowest']:.3f} to {e['highest']:.3f}", f"{e['studio']:.3f} s",
             f"{e['bare']:.3f} s"] for m, e in speed["seconds_per_step"].items()]
    table = markdown(["method", "loop efficiency", "of single blocks", "a step", "a step of the bare loop"], rows)
    runs = markdown(RUN_HEAD, [_run_row(speed, m) for m in speed["seconds_per_step"]])
    growth = "".join(f"* {g['what'].capitalize()}, by {name}: "
                     + ", ".join(f"{count}: {seconds:.2f}" for count, seconds in g["rows"].items()) + ".\n"
                     for name, g in speed.get("growth", {}).items())
    if listed := speed.get("library_seconds"):
        growth += "".join(
            f"* Milliseconds {what}: " + ", ".join(f"{count}: {1000 * s:.0f}" for count, s in rows.items()) + ".\n"
            for what, rows in (("to list a library for the first time, by adapters", listed),
                               ("to find one of them then", speed["library_search_seconds"])))
    switched = speed["switching"]
    return (f"## Speed\n\n{table}\nA picture of 20 steps takes {speed['image_seconds']:.2f} s, with a LoRA on every "
            f"layer {speed['image_seconds_lora']:.2f} s. An adapter switch takes "
            f"{switched['milliseconds']:.1f} ms, 95% of them at most {switched['slowest']:.1f} ms, among "
            f"{switched['adapters']} adapters; after {switched['switches']} switches the process has grown by "
            f"{switched['grown_bytes'] / 1e6:.1f} MB, and pictures are "
            f"{'identical to' if switched['identical'] else 'NOT those of'} a fresh load.\n\n"
            f"{runs}\nThe first preview with the adapter; peak memory of a run above the imported libraries.\n\n"
            f"{growth}\n"
            f"Machine: {speed['machine']}; {_versions(speed)}.\n")


def _run_row(speed: dict[str, Any], method: str) -> list[str]:
    """A method's whole run under RUN_HEAD."""
    run, peak = speed.get("wall_efficiency", {}).get(method), speed.get("peak_memory", {}).get(method)
    cells = [NOT_MEASURED] * 5
    if run:
        after = f", after step {run['preview_step']}" if "preview_step" in run else ""
        cells = [f"{run['ratio']:.2f}", str(run["count"]), f"{run['total']:.0f} s", f"{run['first_step']:.1f} s",
                 f"{run['first_preview']:.1f} s{after}"]
    return [f"`{method}`", *cells, NOT_MEASURED if peak is None else f"{peak / 1e6:.0f} MB"]


def peers_section(peers: dict[str, Any]) -> str:
    """The studio beside diffusers' scripts, from `peers.json`."""
    rows = []
    for r in peers["rows"]:
        precision = "fp32" if r["precision"] == "no" else r["precision"]  # accelerate's word for it
        cells = [r["base"], f"`{r['peer']}`", f"`{r['method']}`", f"{r['steps']} of batch {r['batch']}, {precision}"]
        for who in ("theirs", "ours"):
            cost = r[who]
            cells.append(f"{cost['seconds']:.0f} s, {cost['peak_bytes'] / 1e6:.0f} MB" if cost["peak_bytes"] is not None
                         else f"did not run: {cost['error']}")
        rows.append([*cells, f"{r['time']:.2f}" if "time" in r else "", f"{r['memory']:.2f}" if "memory" in r else ""])
    table = markdown(["base", "peer's script", "method", "steps", "the peer", "the studio", "share of its time",
                      "share of its memory"], rows)
    return ("## Beside diffusers' own scripts\n\nThe same base, pictures, steps, rank, batch and "
            "precision, one after the other; wall time from the start to a usable file, peak memory above the imported "
            f"libraries. Machine: {peers['machine']}; {_versions(peers)}.\n\n{table}")


def _versions(told: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in told["versions"].items())
