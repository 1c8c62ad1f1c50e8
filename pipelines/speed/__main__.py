"""Speed on this machine: `python -m pipelines.speed [--quick] [--json]`."""

from __future__ import annotations

import argparse
import json

from adapters.files import write_text
from pipelines.shipped import REPORT
from pipelines.speed.measure import measure


def main() -> None:
    """Measure and print; with --json the last line is one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer blocks and steps")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="keep the figures for the report")
    options = parser.parse_args()
    found = measure(options.quick)
    if options.write:
        write_text(REPORT / "speed.json", json.dumps(found) + "\n")
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
