"""The command line: `python -m app VERB`. With --json the last line of stdout is one object."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.formats import DEFAULT_RANK, FORMATS
from app.faults import print_traceback, sentence_of
from app.home import Home
from app.studio import Studio
from app.verbs import (
    bench_verb,
    image_verbs,
    lab_verbs,
    library_verbs,
    people_verbs,
    queue_verbs,
    train_verb,
    user_verbs,
)


def build_parser() -> argparse.ArgumentParser:
    """All verbs and their options; `--home`, `--offline` and `--json` stand before or after."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--home", default=argparse.SUPPRESS, help="data folder (or STUDIO_HOME)")
    shared.add_argument("--offline", action="store_true", default=argparse.SUPPRESS,
                        help="never ask the model hub for anything")
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS,
                        help="one JSON object as the last line of stdout; logs go to stderr")
    parser = argparse.ArgumentParser("app", description=__doc__, parents=[shared])
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str, run: Any, help: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=help, description=help, parents=[shared])
        added.set_defaults(run=run)
        return added

    serve = verb("serve", _serve, "start the studio in the browser")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=7860)
    serve.add_argument("--name", action="append", default=[], metavar="HOST",
                       help="a name or address that people type for this machine, such as that of a proxy in front")

    train_verb.add(verb, _studio)
    image_verbs.add(verb, _studio)
    people_verbs.add(verb, _studio)

    export = verb("export", _export, "write an adapter for other programs")
    export.add_argument("name")
    export.add_argument("--format", required=True, help=" or ".join(FORMATS))
    export.add_argument("--out", type=Path, required=True)
    export.add_argument("--approximate", type=int, nargs="?", const=DEFAULT_RANK, metavar="RANK",
                        help=f"allow a LoRA that only comes near, of rank {DEFAULT_RANK} or RANK at most")
    export.add_argument("--base", default="", help="for --approximate, where the adapter's own base has moved")

    bring = verb("import", _import, "take an adapter file into the library")
    bring.add_argument("file", type=Path)
    bring.add_argument("--name")

    lab_verbs.add(verb)
    bench_verb.add(verb)
    queue_verbs.add(verb)
    library_verbs.add(verb)
    user_verbs.add(verb)
    doctor = verb("doctor", _doctor, "versions, device, memory, folders, and what is missing")
    doctor.add_argument("--repair", action="store_true",
                        help="make the list of jobs anew from the files; the old one is kept under backups/")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when it went well, 2 with one sentence on stderr when it did not."""
    options = build_parser().parse_args(arguments)
    try:
        answer = options.run(options)
    except StudioError as error:
        return _fail(options, str(error))
    except KeyboardInterrupt:
        return 130
    except (OSError, sqlite3.Error) as error:
        return _fail(options, f"The system refused something ({error}); check disk, rights and paths.")
    except Exception as error:  # noqa: BLE001 - the program's edge: with --json too a fault is told as one
        print_traceback()
        return _fail(options, sentence_of(error, f"'{options.verb}'", "choose a smaller batch, size or base"))
    if getattr(options, "json", False):
        print(json.dumps(answer), flush=True)
    return 0


def _fail(options: argparse.Namespace, message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    if getattr(options, "json", False):
        print(json.dumps({"error": message}))
    return 2


def _studio(options: argparse.Namespace) -> Studio:
    return Studio(Home.open(getattr(options, "home", None)), offline=_offline(options), fetches=options.verb != "serve")


def _offline(options: argparse.Namespace) -> bool:
    offline: bool = getattr(options, "offline", False)
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    return offline


def _say(options: argparse.Namespace, text: str) -> None:
    """For people: stdout, or stderr when stdout belongs to JSON."""
    print(text, file=sys.stderr if getattr(options, "json", False) else sys.stdout, flush=True)


def _serve(options: argparse.Namespace) -> dict[str, Any]:
    if not 1 <= options.port <= 65535:
        raise StudioError(f"{options.port} is no port; give one from 1 to 65535, such as 7860.")
    home = Home.open(getattr(options, "home", None))
    # Gradio keeps uploads where this says; it must be known before Gradio is imported.
    os.environ["GRADIO_TEMP_DIR"] = str(home.temporary / "uploads")
    from app.accounts.people import People, Register
    from app.http.server import serve, serve_people

    if home.accounts.exists() and Register(home).accounts.any():
        serve_people(People(home, offline=_offline(options)), options.host, options.port, options.name)
    else:
        serve(_studio(options), options.host, options.port, options.name)
    return {}


def _export(options: argparse.Namespace) -> dict[str, Any]:
    report = _studio(options).export(options.name, options.format, options.out, approximate=options.approximate,
                                     base=options.base)
    _say(options, report.text)
    answer: dict[str, Any] = report.as_dict()
    return answer


def _import(options: argparse.Namespace) -> dict[str, Any]:
    entry = _studio(options).import_file(options.file, options.name)
    words = " and ".join(f"'{t}'" for t in entry.phrases) or "not known"
    _say(options, f"imported '{entry.name}', {entry.record.kind} for {entry.record.base.family}; its words are {words}")
    return entry.as_dict()


def _doctor(options: argparse.Namespace) -> dict[str, Any]:
    from app.system.doctor import examine

    if options.repair:
        return _repair(options)
    found = examine(getattr(options, "home", None))
    for key, value in found.items():
        _say(options, f"{key:10} {value if not isinstance(value, list) else '; '.join(value) or 'nothing'}")
    return found


def _repair(options: argparse.Namespace) -> dict[str, Any]:
    from app.system.repair import repair_all

    done = repair_all(Home.open(getattr(options, "home", None)))
    for sentence in done:
        _say(options, sentence)
    return {"repaired": done}
