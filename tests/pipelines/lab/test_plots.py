"""Labels of the Pareto plot stand apart."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from pipelines.lab.plots import Point, _common, _dot, extent, label, pareto

CROWDED = [Point(f"perfusion (bias {b})", "perfusion", 0.25 + 0.001 * n, 0.70 - 0.002 * n)
           for n, b in enumerate((0.35, 0.55, 0.75, 0.95))]
CROWDED += [Point("lora", "lora", 0.252, 0.699), Point("textual-inversion", "textual-inversion", 0.251, 0.697),
            Point("base alone", "none", 0.28, 0.45)]


def test_crowded_labels_cover_neither_each_other_nor_a_point() -> None:
    figure = Figure(figsize=(6.4, 4.6), dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter([p.x for p in CROWDED], [p.y for p in CROWDED])
    axes.margins(0.18)
    figure.draw_without_rendering()
    boxes = [extent(made) for made in label(axes, CROWDED)]
    assert len(boxes) == len(CROWDED)
    frame = axes.get_window_extent()
    for n, box in enumerate(boxes):
        assert not [m for m in range(n) if _common(box, boxes[m])], CROWDED[n].label
        assert not [p.label for p in CROWDED if _common(box, _dot(axes, p))], CROWDED[n].label
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1


def test_a_plot_is_a_picture(tmp_path: Path) -> None:
    pareto(CROWDED, tmp_path / "pareto.png", x="prompt following", y="likeness")
    with Image.open(tmp_path / "pareto.png") as picture:
        assert picture.size == (832, 598)
