"""The verb `bench`: how fast the methods, painting, switching and the library are on this machine."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from typing import Any

from adapters.errors import StudioError
from adapters.files import write_text
from app.home import Home
from app.verbs.lab_verbs import Verb, speaker
from pipelines.shipped import REPORT
from pipelines.speed import SPEED_PARTS

LIBRARY = "library"
PARTS = (*SPEED_PARTS, LIBRARY)
SIZES, QUICK_SIZES = (1, 100, 10_000), (1, 100)


def add(verb: Verb) -> None:
    """Register it on the command line."""
    bench = verb("bench", _bench, "measure speed on this machine: loop, pictures, adapter switching, library")
    bench.add_argument("--quick", action="store_true", help="fewer blocks and steps, no whole run")
    bench.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    bench.add_argument("--write", action="store_true",
                       help="keep the figures for the report; with --only beside those of the other parts")


def _bench(options: argparse.Namespace) -> dict[str, Any]:
    from pipelines.speed.measure import measure, together

    if "runs" in options.only and "loops" not in options.only:
        raise StudioError("Whole runs are held against the bare steps of the loops; name 'loops' too.")
    say, kept = speaker(options), REPORT / "speed.json"
    found = measure(options.quick, say, options.only)
    if LIBRARY in options.only:
        found |= _libraries(QUICK_SIZES if options.quick else SIZES, say)
    if options.write:
        if set(options.only) < set(PARTS) and kept.exists():
            found = together(json.loads(kept.read_text("utf-8")), found)
        write_text(kept, json.dumps(found) + "\n")
    return found


def _libraries(sizes: tuple[int, ...], say: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"library_seconds": {}, "library_search_seconds": {}}
    for count in sizes:
        listed, searched = _library(count)
        found["library_seconds"][str(count)], found["library_search_seconds"][str(count)] = listed, searched
        say(f"a library of {count:6} adapters is listed in {1000 * listed:.0f} ms, then searched in "
            f"{1000 * searched:.0f} ms")
    return found


def _library(count: int) -> tuple[float, float]:
    """Seconds to list a library of copies of one small adapter for the first time, and to find one of them then."""
    from adapters.record import AdapterRecord
    from adapters.studio_file import save
    from adapters.tokens import TokensAdapter
    from app.library.library import Library
    from pipelines.base_models.load import load_base

    host = load_base("starter")
    with tempfile.TemporaryDirectory() as scratch:
        home = Home.open(scratch)
        adapter = TokensAdapter.for_training(host, {"<a>": "cat"})
        record = AdapterRecord(kind=adapter.kind, method="textual-inversion", name="a", base=host.identity,
                               trigger="<a>", spec=adapter.spec)
        first = home.adapters / "a0.safetensors"
        save(first, adapter, record)
        for n in range(1, count):
            shutil.copyfile(first, home.adapters / f"a{n}.safetensors")
        library = Library(home)
        started = time.perf_counter()
        if len(library.entries()) != count:
            raise StudioError(f"A library of {count} adapters was made, but not all of it is listed; check the disk.")
        listed = time.perf_counter() - started
        library.search(f"a{count - 1} cat")
        return round(listed, 4), round(time.perf_counter() - started - listed, 4)
