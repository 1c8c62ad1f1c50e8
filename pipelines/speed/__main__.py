"""Speed on this machine: `python -m pipelines.speed [--quick] [--json]`."""

from __future__ import annotations

import argparse
import json

from pipelines.speed.measure import measure


def main() -> None:
    """Measure and print; with --json the last line is one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer blocks and steps")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.quick)
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
