"""Kept trials as figures and Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from pipelines.lab.measures import Score, score

FIGURES = ("identity", "recall5", "together", "prompt")
TITLES = {"identity": "likeness (cosine)", "recall5": "right one among the first 5", "together": "likeness together",
          "prompt": "prompt followed"}


def figures(line: dict[str, Any]) -> dict[str, float | None]:
    """A trial's figures, each a mean over its pictures; None where it has no such pictures.

    `identity`: cosine to the right individual, one concept a picture. `together`: the same where two or
    more are in one picture, each at its clearest place. `recall5`: share of concepts shown that have
    the right individual among the first five of the gallery. `prompt`: share of what was asked beside the
    concepts (scene, style, companion) that came out.
    """
    rows = [r for r in line["images"] if r["group"] != "class"]
    alone = [c for r in rows if len(r["shows"]) == 1 and r["group"] != "beside" for c in r["cosine"]]
    together = [c for r in rows if len(r["shows"]) > 1 for c in r["cosine"]]
    asked = [float(v) for r in rows for v in r["right"].values()]
    ranks = [r5 < 5 for r in rows if r["group"] != "beside" for r5 in r["rank"]]
    found = {"identity": alone, "together": together, "prompt": asked, "recall5": [float(r) for r in ranks]}
    return {k: statistics.fmean(v) if v else None for k, v in found.items()}


def over(lines: Iterable[dict[str, Any]], figure: str) -> Score | None:
    """One figure over trials, each trial one value; None where no trial has it."""
    values = [v for line in lines if (v := figures(line)[figure]) is not None]
    return score(values) if values else None


def method_table(lines: Sequence[dict[str, Any]], by: str = "method") -> str:
    """A row for each sample and value of `by` (a key of the lines), over its seeds; then a row over all samples."""
    def told(line: dict[str, Any]) -> str:
        found = line[by]
        return ", ".join(f"{k} {v}" for k, v in found.items()) if isinstance(found, dict) else str(found)

    names = list(dict.fromkeys("+".join(line["samples"]) for line in lines))
    values = list(dict.fromkeys(map(told, lines)))
    rows = []
    for kind, chosen in (("sets", [n for n in names if "/" not in n]), ("scenes", [n for n in names if "/" in n])):
        for title, among in (*((n, [n]) for n in chosen), (f"**all {kind}**", chosen)):
            for value in values:
                mine = [x for x in lines if told(x) == value and "+".join(x["samples"]) in among]
                rows += [_row(title, value, mine)] if mine else []
    return markdown(["sample", by, "trials", *(TITLES[f] for f in FIGURES), "training", "file"], rows)


def _row(name: str, method: str, lines: Sequence[dict[str, Any]]) -> list[str]:
    cells = [str(s) if (s := over(lines, f)) else "" for f in FIGURES]
    seconds = [line["train_seconds"] for line in lines if line["train_seconds"]]
    size = max(line["bytes"] for line in lines)
    return [name, method, str(len(lines)), *cells, f"{statistics.median(seconds):.0f} s" if seconds else "",
            f"{size / 1000:.0f} kB" if size else ""]


def ablation_row(name: str, claim: str, figure: str,
                 pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[str]:
    """The figure with and without, how many samples go the paper's way, and what the others do."""
    both = [(figures(a), figures(b)) for a, b in pairs]
    held = [(float(a[figure] or 0), float(b[figure] or 0)) for a, b in both]
    right = sum(a > b for a, b in held)
    cells = [str(score([v[n] for v in held])) for n in (0, 1)]
    beside = []
    for other in FIGURES:
        apart = [float(a[other] or 0) - float(b[other] or 0) for a, b in both if a[other] is not None]
        if other != figure and apart:
            beside.append(f"{other} {statistics.fmean(apart):+.3f}")
    return [name, claim, TITLES[figure], *cells, str(score([a - b for a, b in held])), f"{right} of {len(held)}",
            ", ".join(beside)]


ABLATION_HEAD = ["what is taken away", "claim", "figure", "with", "without", "difference", "in the claimed direction",
                 "the other figures, with minus without"]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
