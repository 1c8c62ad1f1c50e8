"""Plots as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

COLOURS = {"none": "#777777", "lora": "#1f77b4", "textual-inversion": "#2ca02c", "perfusion": "#d62728",
           "break-a-scene": "#9467bd"}


NEAR, DOT = 14.0, 7.0
"""Points that a label is from its point without a line to it; half the side of what a marker covers, in pixels."""
PLACES = tuple((side * 8.0, height) for height in (8.0, -8.0, 20.0, -20.0, 32.0, -32.0, 44.0, -44.0, 56.0, -56.0)
               for side in (1, -1))
"""Where a label may stand, in points from its point, the best first."""


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
    axes.margins(0.18)
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.draw_without_rendering()  # the layout is settled from here on
    label(axes, points)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def label(axes: Axes, points: Sequence[Point]) -> list[Annotation]:
    """Write each point's label beside it, where it covers no other label and no other point, the nearest place first.

    Where all places are taken it stands where it covers least; one that is far from its point gets a line to it.
    """
    taken: list[Bbox] = [_dot(axes, p) for p in points]
    made = []
    for point in points:
        tried = [_written(axes, point, place) for place in PLACES]
        boxes = [extent(t) for t in tried]
        costs = [sum(_common(box, other) for other in taken) + _outside(axes, box) for box in boxes]
        best = costs.index(min(costs))
        for n, other in enumerate(tried):
            if n != best:
                other.remove()
        taken.append(boxes[best])
        made.append(tried[best])
    return made


def _written(axes: Axes, point: Point, place: tuple[float, float]) -> Annotation:
    right, far = place[0] > 0, abs(place[1]) > NEAR
    arrow: dict[str, Any] = {"arrowstyle": "-", "linewidth": 0.6, "alpha": 0.6, "color": COLOURS.get(point.curve)}
    return axes.annotate(point.label, (point.x, point.y), textcoords="offset points", xytext=place, fontsize=8,
                         color=COLOURS.get(point.curve), ha="left" if right else "right", va="center",
                         arrowprops=arrow if far else None, annotation_clip=False)


def extent(label: Annotation) -> Bbox:
    """What its words cover, in pixels, without the line to its point."""
    from matplotlib.text import Text

    label.get_window_extent()  # puts it in its place, but counts the line too
    return Text.get_window_extent(label)


def _dot(axes: Axes, point: Point) -> Bbox:
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((point.x, point.y))
    return Bbox.from_extents(x - DOT, y - DOT, x + DOT, y + DOT)


def _common(one: Bbox, other: Bbox) -> float:
    """The area that two boxes share, in square pixels."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(max(width, 0.0) * max(height, 0.0))


def _outside(axes: Axes, box: Bbox) -> float:
    """The area of a box that is beyond the axes, in square pixels."""
    return float(box.width * box.height) - _common(box, axes.get_window_extent())
