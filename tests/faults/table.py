"""Write what the fault tests tried into docs/trust.md: `python -m tests.faults.table`."""

from __future__ import annotations

import json
import platform

from adapters.files import write_text
from pipelines.prompt_filter import rates
from pipelines.shipped import REPOSITORY
from tests.faults.conftest import KEPT

PAGE = REPOSITORY / "docs" / "trust.md"
MARKS = ("<!-- faults -->\n", "<!-- /faults -->")


def rows() -> list[dict[str, object]]:
    """The last run of every fault, by its row."""
    last = {}
    for line in KEPT.read_text("utf-8").splitlines():
        told = json.loads(line)
        last[(told["row"], told["fault"])] = told
    return sorted(last.values(), key=lambda r: (int(r["row"]), r["fault"]))


def table() -> str:
    """Markdown of all rows, and the filter's rates."""
    lines = ["| # | fault | tried | what held |", "|---|---|---|---|"]
    lines += [f"| {r['row']} | {r['fault']} | {r['tried']} | {r['held']} |" for r in rows()]
    found = rates()
    lines += ["", (f"The prompt filter refuses {found['caught']:.1%} of the held-out half of {found['caught_of']} "
                   f"phrasings that it should, and {found['false_alarms']:.1%} of the held-out half of "
                   f"{found['false_alarms_of']} that it should not ({found['caught_all']:.1%} and "
                   f"{found['false_alarms_all']:.1%} of all). Of negative prompts it refuses "
                   f"{found['unwanted_caught']:.1%} of {found['unwanted_caught_of']} that want no clothes, and "
                   f"{found['unwanted_false_alarms']:.1%} of {found['unwanted_false_alarms_of']} that it should not; "
                   "these two lists were written together with it, so others will fare worse. "
                   "It is a filter, not a guarantee."), "",
              f"Machine: {platform.machine()}, Python {platform.python_version()}.", ""]
    return "\n".join(lines)


def main() -> None:
    """Put the table between the page's marks."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    write_text(PAGE, before + MARKS[0] + table() + MARKS[1] + after)
    print(table())


if __name__ == "__main__":
    main()
