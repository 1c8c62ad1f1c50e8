"""Plots as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COLOURS = {"none": "#777777", "lora": "#1f77b4", "textual-inversion": "#2ca02c", "perfusion": "#d62728",
           "break-a-scene": "#9467bd"}


@dataclass(frozen=True)
class Point:
    """Prompt following `x` and likeness `y`, each with half its interval; points of one `curve` are joined."""

    label: str
    curve: str
    x: float
    y: float
    x_half: float = 0.0
    y_half: float = 0.0


def pareto(points: Sequence[Point], path: Path, *, x: str, y: str, title: str = "") -> None:
    """Likeness over prompt following; further up and to the right is better."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for curve in dict.fromkeys(p.curve for p in points):
        mine = [p for p in points if p.curve == curve]
        colour = COLOURS.get(curve)
        axes.errorbar([p.x for p in mine], [p.y for p in mine], xerr=[p.x_half for p in mine],
                      yerr=[p.y_half for p in mine], marker="o", linestyle="-" if len(mine) > 1 else "none",
                      color=colour, elinewidth=0.7, capsize=2, markersize=6)
        for n, p in enumerate(mine):
            axes.annotate(p.label, (p.x, p.y), textcoords="offset points", xytext=(7, 5 if n % 2 else -11),
                          fontsize=8, color=colour)
    axes.margins(0.18)
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
