"""Speed on this machine: `python -m pipelines.speed [--quick] [--only PART...] [--json] [--write]`."""

from __future__ import annotations

import argparse
import json
from functools import partial

from adapters.errors import StudioError
from adapters.files import write_text
from pipelines.shipped import REPORT
from pipelines.speed.measure import PARTS, measure, together


def main() -> None:
    """Measure and print; with --json the last line is one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer blocks and steps")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="keep the figures for the report")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=tuple(PARTS),
                        help="with --write beside what is kept of the other parts, from the same machine and versions")
    options = parser.parse_args()
    if "runs" in options.only and "loops" not in options.only:
        parser.error("whole runs are held against the bare steps of the loops; name 'loops' too")
    found, kept = measure(options.quick, partial(print, flush=True), options.only), REPORT / "speed.json"
    if options.write:
        if len(options.only) < len(PARTS):
            try:
                found = together(json.loads(kept.read_text("utf-8")), found)
            except (OSError, StudioError) as error:
                parser.exit(2, f"error: {error}\n")
        write_text(kept, json.dumps(found) + "\n")
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
