"""The report in docs/report: what the labs measured, as one JSON file, and from it tables, a plot and the README.

Everything in the pages comes from `figures.json`, and that from what the measuring commands kept; nothing is typed in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.files import write_text
from pipelines.lab import benchmarks, reasons, series
from pipelines.lab.benchmarks import peers_section, speed_section
from pipelines.lab.claims import ABLATION_HEAD, Held, ablation_row, came_out
from pipelines.lab.measures import Score
from pipelines.lab.plots import Point, pareto
from pipelines.lab.series import Ablation
from pipelines.lab.tables import (
    LEARNED,
    SHOWN,
    TITLES,
    Line,
    baselines,
    kinds,
    markdown,
    sample_of,
    summarise,
    told_by,
)
from pipelines.lab.trials import Lab
from pipelines.shipped import REPOSITORY

MARKS = ("<!-- report -->\n", "<!-- /report -->")
STARTER_FIGURES = ("class", "scene", "colour", "style", "both", "sides", "unseen_colour", "unseen_both", "vae_db",
                   "photo_db", "retrieval", "seconds_per_image", "prompts", "classes")


def gather(lab: Lab, folder: Path) -> dict[str, Any]:
    """All figures: those of trials on the present base, and what `starter.json` and `speed.json` say."""
    asked = [*series.methods(), *series.bias_curve(), *(t for a in series.ablations() for p in a.pairs() for t in p)]
    wanted = list(dict.fromkeys(asked))
    methods = [x for t in series.methods() if (x := lab.find(t))]
    curve = [x for t in series.bias_curve() if (x := lab.find(t))]
    return {
        "base": lab.base, "trials": sum(lab.find(t) is not None for t in wanted), "of": len(wanted),
        "methods": by_kind(methods, "method"), "curve": by_kind(curve, "dials", baselines(methods)).get("sets", {}),
        "tuning": {m: by_kind([x for t in series.tuning() if t.method == m and (x := lab.find(t))], "settings")
                   for m in series.GRIDS},
        "ablations": [row for a in series.ablations() if (row := _ablation(lab, a))],
        "reasons": reasons.gather(lab, folder / reasons.FILE),
        "starter": _read(folder / "starter.json"), "speed": _read(folder / "speed.json"),
        "peers": _read(folder / "peers.json"),
    }


def by_kind(lines: Sequence[Line], by: str, base: dict[str, float] | None = None) -> dict[str, dict[str, Any]]:
    """Summaries by kind of sample, then by method or dials."""
    base = baselines(lines) if base is None else base
    found: dict[str, dict[str, Any]] = {}
    for kind, names in kinds(lines).items():
        chosen = [x for x in lines if sample_of(x) in names]
        for value in dict.fromkeys(told_by(x, by) for x in chosen):
            mine = [x for x in chosen if told_by(x, by) == value]
            found.setdefault(kind, {})[value] = summarise(mine, base).as_dict()
    return found


def _ablation(lab: Lab, a: Ablation) -> dict[str, Any] | None:
    found = came_out(lab, a)
    if not found:
        return None
    return {"name": a.name, "claim": a.claim, **found.as_dict(), "finding": "" if found.comes_out else a.finding}


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _score(told: dict[str, Any] | None) -> str:
    return str(Score(told["mean"], told["interval"], told["n"])) if told else ""


def method_rows(figures: dict[str, Any]) -> str:
    """The table that matters: every method over its samples."""
    head = ["method", "learned", "samples", "trials", *(TITLES[f] for f in SHOWN), "training", "file"]
    rows = []
    for kind, what in (("sets", "one thing, from 5 pictures"), ("scenes", "2 or 3 things, from one picture")):
        for method, told in figures["methods"].get(kind, {}).items():
            name = "base alone" if method == "none" else f"`{method}`"
            rows.append([name, what, str(told["samples"]), str(told["trials"]), *(_score(told.get(f)) for f in SHOWN),
                         f"{told['seconds']:.0f} s" if told["seconds"] else "",
                         f"{told['bytes'] / 1000:.0f} kB" if told["bytes"] else ""])
    return markdown(head, rows) if rows else "No trial has been run on this base yet.\n"


def readme_block(figures: dict[str, Any]) -> str:
    """What stands in the README between MARKS."""
    plot = "![Likeness over prompt following](docs/report/pareto.png)\n\n" if figures["methods"] else ""
    return "\n".join(part for part in (method_rows(figures), plot + _read_as(figures)) if part)


def _read_as(figures: dict[str, Any]) -> str:
    if not figures["methods"]:
        return ""
    missing = figures["of"] - figures["trials"]
    rest = f" {missing} of {figures['of']} trials of the whole series are still to be run." if missing else ""
    return ("Means over samples with 95% intervals, by judges that were trained apart and never seen by the base or a "
            f"method; times on {figures['speed'].get('machine', 'this machine')}.{rest}\n")


def page(figures: dict[str, Any]) -> str:
    """The report as Markdown."""
    parts = ["# Report\n\nWritten by `make report` from what the labs measured; "
             f"base {figures['base']}; {figures['trials']} of {figures['of']} trials run.\n",
             f"## Methods\n\n{method_rows(figures)}\n{_read_as(figures)}"]
    if figures["methods"]:
        parts.append("![Likeness over prompt following](pareto.png)\n\nWhat was judged of seed 0 lies in "
                     "[sheets](sheets), one sheet a sample and method; there are none of pairs and of trials that take "
                     "a part away, nor of scenes by the base alone.\n")
    if figures["curve"]:
        rows = [[dials, *(_score(told.get(f)) for f in ("identity", "prompt", "margin"))]
                for dials, told in figures["curve"].items()]
        parts.append("## Perfusion's dial\n\nThe same trained concepts, painted with other biases.\n\n"
                     + markdown(["dial", TITLES["identity"], TITLES["prompt"], TITLES["margin"]], rows))
    if figures["ablations"]:
        rows = [ablation_row(a["name"], a["claim"], _held(a)) for a in figures["ablations"]]
        parts.append("## The papers' claims\n\nEach part taken out, seed 0.\n\n" + markdown(ABLATION_HEAD, rows))
        if missed := [f"* **{a['name']}**: {a['finding']}\n" for a in figures["ablations"] if a["finding"]]:
            parts.append("What did not come out as the papers have it:\n\n" + "".join(missed))
    if told := reasons.section(figures["reasons"]):
        parts.append(told)
    if rows := tuning_rows(figures["tuning"]):
        parts.append("## Settings\n\nWhat the starter's balanced presets were chosen from, on development samples that "
                     "no other figure is taken on, seed 0.\n\n" + markdown(
                         ["method", "settings", *(TITLES[f] for f in LEARNED)], rows))
    if figures["starter"]:
        rows = [[k, str(figures["starter"][k])] for k in STARTER_FIGURES if k in figures["starter"]]
        parts.append(f"## The starter\n\n{markdown(['figure', 'value'], rows)}\n![64 prompts](../starter.png)\n")
    if figures["speed"]:
        parts.append(speed_section(figures["speed"]))
    if figures["peers"]:
        parts.append(peers_section(figures["peers"]))
    return "\n".join(parts)


def tuning_rows(tuning: dict[str, dict[str, dict[str, Any]]]) -> list[list[str]]:
    """Method, settings and figures of what was tried on the development samples."""
    return [[f"`{method}`", settings, *(_score(told.get(f)) for f in LEARNED)]
            for method, kinds_found in tuning.items() for found in kinds_found.values()
            for settings, told in found.items()]


def _held(told: dict[str, Any]) -> Held:
    whole, without, difference = (Score(told[k]["mean"], told[k]["interval"], told[k]["n"])
                                  for k in ("with", "without", "difference"))
    return Held(told["figure"], whole, without, difference, told["in_the_claimed_direction"], told["samples"],
                told["others"])


def points(figures: dict[str, Any]) -> list[Point]:
    """Methods on single things, and Perfusion's dial as a curve."""
    def at(label: str, curve: str, told: dict[str, Any]) -> Point:
        x, y = told["margin"], told["identity"]
        return Point(label, curve, x["mean"], y["mean"], x["interval"] or 0.0, y["interval"] or 0.0)

    singles = figures["methods"].get("sets", {})
    return ([at("base alone" if m == "none" else m, m, told) for m, told in singles.items()
             if m != "perfusion" or not figures["curve"]]
            + [at(dials, "perfusion", told) for dials, told in figures["curve"].items()])


def with_block(readme: str, block: str) -> str:
    """The README with `block` between its marks. Raises StudioError when it has none."""
    before, mark, rest = readme.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (mark and end):
        raise StudioError(f"The README should have the marks '{MARKS[0].strip()}' and '{MARKS[1]}', but has not both; "
                          "put them back where the table belongs.")
    return f"{before}{mark}{block}{end}{after}"


def write(lab: Lab, folder: Path, readme: Path = REPOSITORY / "README.md", pages: Path = REPOSITORY / "docs") -> None:
    """Gather and write `figures.json`, the pages, the plot and the README's block."""
    figures = gather(lab, folder)
    write_text(folder / "figures.json", json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    if found := points(figures):
        pareto(found, folder / "pareto.png", x=f"prompt followed, {TITLES['margin']}", y=TITLES["identity"])
    write_text(folder / "README.md", page(figures))
    write_text(pages / "benchmarks.md", benchmarks.page(figures))
    write_text(readme, with_block(readme.read_text("utf-8"), readme_block(figures)))
