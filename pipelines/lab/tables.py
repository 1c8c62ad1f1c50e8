"""Kept trials as figures and Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.lab.measures import Score, score
from pipelines.lab.trials import BASELINE

Line = dict[str, Any]

FIGURES = ("identity", "gain", "recall5", "together", "apart", "others", "elsewhere", "prompt", "margin")
TITLES = {"identity": "likeness (cosine)", "gain": "above the base alone", "recall5": "right one among the first 5",
          "together": "likeness together", "others": "likeness to those not asked for",
          "apart": "likeness above those not asked for", "elsewhere": "not in the scene learned in",
          "prompt": "prompt followed", "margin": "how clearly (logits)"}
SHOWN = tuple(f for f in FIGURES if f not in ("apart", "others", "elsewhere"))
"""Those of the table that is read first."""
LEARNED = tuple(f for f in FIGURES if f != "gain")


def figures(line: Line) -> dict[str, float | None]:
    """A trial's figures, each a mean over its pictures; None where it has no such pictures.

    `identity`: cosine to the right individual, one concept a picture. `together`: the same where two or more are in one
    picture. `others`: the same of concepts that a picture of one should not show; of several concepts each counts at
    its clearest place. `apart`: how far that which is asked for is above these. `elsewhere`: share of pictures asked
    for in no scene that do not show the one it was learned in. `recall5`: share of concepts shown that have the right
    individual among the first five of the gallery. `prompt`: share of what was asked beside the concepts (scene,
    style, companion) that came out. `margin`: how clearly (`Ask.margins`), which still tells apart where all came out.
    """
    rows = [r for r in line["images"] if r["group"] != "class"]
    alone = [c for r in rows if len(r["shows"]) == 1 and r["group"] != "beside" for c in r["cosine"]]
    together = [c for r in rows if len(r["shows"]) > 1 for c in r["cosine"]]
    asked = [float(v) for r in rows for v in r["right"].values()]
    clear = [v for r in rows for v in r.get("margin", {}).values()]
    ranks = [r5 < 5 for r in rows if r["group"] != "beside" for r5 in r["rank"]]
    others = [c for r in rows if len(r["shows"]) == 1 for c in r.get("others", ())]
    apart = [c - o for r in rows if len(r["shows"]) == 1 for c in r["cosine"] for o in r.get("others", ())]
    elsewhere = [float(not r["learned_scene"]) for r in rows if "learned_scene" in r]
    found = {"identity": alone, "together": together, "apart": apart, "others": others, "elsewhere": elsewhere,
             "prompt": asked, "recall5": [float(r) for r in ranks], "margin": clear}
    return {k: statistics.fmean(v) if v else None for k, v in found.items()}


def sample_of(line: Line) -> str:
    """The sample (or samples painted together) of a trial."""
    return "+".join(line["samples"])


@dataclass(frozen=True)
class Summary:
    """Trials of one way to learn, over some samples. `seconds` is the median training, `size` the largest file."""

    samples: int
    trials: int
    scores: dict[str, Score]
    seconds: float | None
    size: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"samples": self.samples, "trials": self.trials, "seconds": self.seconds, "bytes": self.size,
                **{k: s.as_dict() for k, s in self.scores.items()}}


def baselines(lines: Iterable[Line]) -> dict[str, float]:
    """The likeness of the base alone, by sample."""
    return {sample_of(x): float(v) for x in lines
            if x["method"] == BASELINE and (v := figures(x)["identity"]) is not None}


def summarise(lines: Sequence[Line], base: Mapping[str, float]) -> Summary:
    """Mean and interval of each figure. With several samples each is one value, the mean of its trials (seeds of
    one sample are no independent evidence); with one sample each trial is. `base` is that of `baselines`.
    """
    found = [(sample_of(x), figures(x)) for x in lines]
    for name, told in found:
        likeness = told["identity"]
        told["gain"] = None if likeness is None or name not in base else likeness - base[name]
    names = list(dict.fromkeys(name for name, _ in found))
    scores = {}
    for figure in FIGURES:
        values = [[v for n, told in found if n == name and (v := told[figure]) is not None] for name in names]
        kept = [v for v in values if v]
        if kept:
            scores[figure] = score([statistics.fmean(v) for v in kept] if len(names) > 1 else kept[0])
    seconds = [x["train_seconds"] for x in lines if x["train_seconds"]]
    return Summary(len(names), len(lines), scores, statistics.median(seconds) if seconds else None,
                   max(x["bytes"] for x in lines))


def told_by(line: Line, by: str) -> str:
    """A key of a trial's line as a label: the method, or the dials."""
    found = line[by]
    return ", ".join(f"{k} {v}" for k, v in found.items()) if isinstance(found, dict) else str(found)


def kinds(lines: Iterable[Line]) -> dict[str, list[str]]:
    """Names of the samples, single things ("sets") and pictures of several ("scenes") apart."""
    names = list(dict.fromkeys(map(sample_of, lines)))
    return {"sets": [n for n in names if "scenes/" not in n], "scenes": [n for n in names if "scenes/" in n]}


def method_table(lines: Sequence[Line], by: str = "method") -> str:
    """A row for each sample and value of `by` (a key of the lines), over its seeds; then a row over all samples."""
    base, values, rows = baselines(lines), list(dict.fromkeys(told_by(x, by) for x in lines)), []
    for kind, chosen in kinds(lines).items():
        for title, among in (*((n, [n]) for n in chosen), (f"**all {kind}**", chosen)):
            for value in values:
                mine = [x for x in lines if told_by(x, by) == value and sample_of(x) in among]
                rows += [[title, value, *cells(summarise(mine, base))]] if mine else []
    return markdown(["sample", by, *CELLS], rows)


CELLS = ["trials", *(TITLES[f] for f in FIGURES), "training", "file"]


def cells(found: Summary) -> list[str]:
    """A summary as the cells of a row, in the order of CELLS."""
    return [str(found.trials), *(str(found.scores[f]) if f in found.scores else "" for f in FIGURES),
            f"{found.seconds:.0f} s" if found.seconds else "", f"{found.size / 1000:.0f} kB" if found.size else ""]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
