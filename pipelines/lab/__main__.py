"""Run a series of trials: `python -m pipelines.lab methods|ablations|curve|tune [--minutes N] [--only NAME]`; or
`... reasons|report`.

What was run before is not run again, so a series may be ended and gone on with, and be run by several processes at
once: each takes trials that no other is at (`--untimed`, with OMP_NUM_THREADS=1 for each). Figures are kept in
docs/report/trials.jsonl; the table of what is there so far is printed. `reasons` looks into the adapters of ablations
that were run, and trains those anew that are not in the work folder. `report` runs nothing and writes
docs/report and the README's table.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from adapters.errors import StudioError
from pipelines.lab import reasons, report, series
from pipelines.lab.claims import ABLATION_HEAD, ablation_row, came_out
from pipelines.lab.series import Ablation
from pipelines.lab.tables import markdown, method_table
from pipelines.lab.trials import BASELINE, KEPT, Lab, Trial

SERIES = {"methods": (series.methods, "method"), "curve": (series.bias_curve, "dials"),
          "tune": (series.tuning, "settings")}
"""Each with the key of a kept line that tells its trials apart."""


def run(lab: Lab, trials: Sequence[Trial], minutes: float, sheets: Path | None = None) -> int:
    """Run what is missing until the time is used; how many are still missing."""
    ends = time.monotonic() + 60 * minutes
    missing = [t for t in dict.fromkeys(trials) if lab.find(t) is None]
    done = 0
    for trial in missing:
        if time.monotonic() > ends:
            break
        if lab.find(trial):  # another process was quicker
            continue
        began = time.monotonic()
        name = "+".join(trial.samples)
        plain = trial == Trial(trial.samples[:1], trial.method)  # a sheet shows the method as it is
        plain = plain and not (trial.of_several and trial.method == BASELINE)  # which says little and takes much room
        sheet = sheets / f"{name.replace('/', '-')}-{trial.method}.webp" if sheets and plain else None
        if lab.run(trial, sheet) is None:
            continue
        done += 1
        told = ", ".join(f"{k}={v}" for k, v in (*trial.settings, *trial.dials))
        print(f"{done}/{len(missing)} {name} {trial.method} seed {trial.seed} {told} {time.monotonic() - began:.0f} s",
              file=sys.stderr, flush=True)
    return sum(lab.find(t) is None for t in missing)


def ablation_table(lab: Lab, ablations: Sequence[Ablation]) -> str:
    """The rows of which every trial is there."""
    told = [(a, came_out(lab, a)) for a in ablations]
    return markdown(ABLATION_HEAD, [ablation_row(a.name, a.claim, found) for a, found in told if found])


def main() -> int:
    """Exit code 0 when the series is whole, 1 when some of it is still missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", choices=("methods", "ablations", "curve", "tune", "reasons", "report"))
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no trial after so many")
    parser.add_argument("--only", default="", help="trials or ablations whose name or method has this in it")
    parser.add_argument("--kept", type=Path, default=KEPT)
    parser.add_argument("--untimed", action="store_true", help="other work runs beside: keep no training's seconds")
    options = parser.parse_args()
    lab = Lab(options.kept, timed=not options.untimed)
    try:
        if options.series == "report":
            report.write(lab, options.kept.parent)
            return 0
        if options.series == "reasons":
            reasons.look(lab, options.kept.parent / reasons.FILE, lambda text: print(text, file=sys.stderr, flush=True))
            return 0
        left, table = _series(lab, options)
    except StudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{table}\n{left} trials are still missing.")
    return 1 if left else 0


def _series(lab: Lab, options: argparse.Namespace) -> tuple[int, str]:
    if options.series == "ablations":
        chosen = [a for a in series.ablations() if options.only in f"{a.name} {a.whole.method}"]
        trials = [t for a in chosen for pair in a.pairs() for t in pair]
        return run(lab, trials, options.minutes, options.kept.parent / "sheets"), ablation_table(lab, chosen)
    made, by = SERIES[options.series]
    trials = [t for t in made() if options.only in f"{'+'.join(t.samples)} {t.method}"]
    sheets = options.kept.parent / "sheets" if options.series == "methods" else None
    left = run(lab, trials, options.minutes, sheets)
    return left, method_table([line for t in trials if (line := lab.find(t))], by)


if __name__ == "__main__":
    sys.exit(main())
