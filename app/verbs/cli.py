"""The command line: `python -m app VERB`. With --json the last line of stdout is one object."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.formats import DEFAULT_RANK, FORMATS
from app.arguments import parse_settings
from app.home import Home
from app.jobs.allowed import allowed, consent_of
from app.jobs.device import the_device
from app.jobs.runs import EventLog, StopFile, WishFiles
from app.studio import Studio
from app.verbs import image_verbs, kinds, lab_verbs, library_verbs, people_verbs, queue_verbs, user_verbs
from app.verbs.ranks import from_main, is_main
from pipelines.methods import METHODS
from pipelines.wording import parse_concepts

_SETTINGS = {"steps": int, "seed": int, "batch": int, "rank": int, "learning_rate": float, "preview_every": int,
             "checkpoint_every": int, "precision": str}


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

    train = verb("train", _train, "teach a base a concept from a folder of pictures")
    train.add_argument("--base", default="starter")
    train.add_argument("--method", default="lora", help=", ".join(METHODS))
    train.add_argument("--preset", default="balanced", help="fast, balanced or best")
    train.add_argument("--memory", metavar="GB", help="settings for a graphics card of 8, 12 or 24 GB (estimated)")
    train.add_argument("--name", required=True)
    train.add_argument("--class-noun", default="", help="what the thing is, such as 'dog'")
    train.add_argument("--images", type=Path, metavar="DIR|FILE",
                       help="folder of 1 to 30 pictures (with .txt captions) or a dataset: folder with metadata.jsonl, "
                            "kohya's folder or dataset.toml, OneTrainer's concepts.json, ai-toolkit's YAML")
    train.add_argument("--masks", type=Path, help="folder of masks: maskN.png, or <picture>-maskN.png")
    train.add_argument("--concepts", default="", metavar="NAME:NOUN,...",
                       help="the concepts behind the masks, in their order; made up when not given")
    kinds.add_kind(train)
    train.add_argument("--trigger", default="", help="made for you when not given")
    train.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                       help="any other setting of the method (see docs/METHODS.md)")
    for option, kind in _SETTINGS.items():
        train.add_argument(f"--{option.replace('_', '-')}", type=kind)
    train.add_argument("--tensorboard", action="store_true", help="write the run's numbers for TensorBoard too")
    train.add_argument("--resume", action="store_true",
                       help="go on with the latest unfinished run of this name")

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
    except (MemoryError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else "no reason given"
        return _fail(options, f"'{options.verb}' failed ({first}); if memory ran out, choose less of it: a "
                              "smaller batch, size or base.")
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


class _Interrupt:
    """Ctrl-C, or Stop in the browser, ends a training after its step, so that its checkpoint is kept."""

    def __init__(self, folder: Path) -> None:
        self.asked = False
        self.file = StopFile(folder)
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def stop_requested(self) -> bool:
        return self.asked or self.file.stop_requested()


def _train(options: argparse.Namespace) -> dict[str, Any]:
    from pipelines.dataset_folders import Dataset, read_dataset

    studio = _studio(options)
    started = time.monotonic()

    def begin() -> str:
        if options.resume:
            return str(_unfinished(studio, options.name))
        dataset = Dataset()
        if options.images:
            dataset = read_dataset(options.images, masks=options.masks, trigger=options.trigger)
        for notice in dataset.notices:
            print(notice, file=sys.stderr, flush=True)
        kinds.check_faces(dataset.pictures, options)
        run = studio.start_training(
            dataset, options.name, options.class_noun, base=options.base,
            method=options.method, preset=options.preset, memory=options.memory, trigger=options.trigger,
            tensorboard=options.tensorboard, concepts=parse_concepts(options.concepts),
            kinds=[options.kind], running_in=os.getpid(),
            **({o: getattr(options, o) for o in _SETTINGS} | parse_settings(options.set)),
        )
        return str(studio.home.runs / run)

    folder = Path(from_main(begin))
    if not is_main():
        return _follow(options, studio, folder)
    log = EventLog(folder)

    def report(event: dict[str, Any]) -> None:
        log(event)
        _print_event(event)

    answer = _train_here(studio, folder, report)
    answer["seconds"] = round(time.monotonic() - started, 2)
    words = ", ".join(f"'{c}'" for c in answer.pop("phrases"))
    _say(options, f"'{answer['name']}' is in {answer['adapter']}; its words are {words}")
    return answer


def _follow(options: argparse.Namespace, studio: Studio, folder: Path) -> dict[str, Any]:
    """One of several processes, not the main one: train along and say nothing."""
    from pipelines.training import train_run

    options.json = False
    train_run(folder, report=lambda event: None, control=_Interrupt(folder), taken=studio.library.triggers(),
              cache=studio.home.cache)
    return {}


def _unfinished(studio: Studio, name: str) -> Path:
    """The folder of the latest run of that name which can go on, taken over by this process."""
    studio.supervisor.settle_dead()
    for job in studio.jobs():
        if job.name != name or job.kind != "train":
            continue
        with studio.consents.held(consent_of(studio.home.runs / job.id)):
            taken = studio.store.take(job.id, os.getpid())
        if taken:
            StopFile(studio.home.runs / job.id).clear()
            return studio.home.runs / job.id
    raise StudioError(f"There is no training '{name}' to go on with; leave out --resume.")


def _train_here(studio: Studio, folder: Path, report: Any) -> dict[str, Any]:
    """Train in this process; the job's row follows what happens."""
    from pipelines.run_config import RunConfig
    from pipelines.training import train_run

    job = studio.job(folder.name)
    report({"type": "stage", "text": "Starting"})
    control = _Interrupt(folder)

    def waiting() -> None:
        report({"type": "stage", "text": "Waiting for the device, which another process has"})

    try:
        with the_device(studio.home.root, stop=control.stop_requested, waiting=waiting) as held, allowed(folder):
            path = train_run(folder, report=report, control=control, taken=studio.library.triggers(),
                             cache=studio.home.cache, asked=WishFiles(folder).take) if held else None
        report({"type": "outcome", "state": "finished" if path else "stopped", "message": ""})
        if path is None:
            studio.store.end(job.id, "stopped")
            raise StudioError(f"Training '{job.name}' was stopped; its last checkpoint is in "
                              f"'{folder / 'checkpoints'}', --resume goes on from there.")
        name = studio.supervisor.publish(job)
    except BaseException as error:
        studio.store.end(job.id, "failed", str(error))
        raise
    studio.store.end(job.id, "finished")
    entry = studio.library.get(name)
    return {"adapter": str(entry.path), "name": name, "trigger": entry.record.trigger,
            "triggers": entry.triggers, "class_noun": entry.record.class_noun,
            "phrases": entry.phrases,
            "steps": RunConfig.load(folder).training.steps, "run": str(folder)}


def _print_event(event: dict[str, Any]) -> None:
    kind = event["type"]
    if kind in ("stage", "warning"):
        print(event["text"], file=sys.stderr, flush=True)
    elif kind == "step" and (event["step"] % 10 == 0 or event["step"] == event["total"]):
        left = (event["total"] - event["step"]) * event["seconds"]
        print(f"step {event['step']}/{event['total']}  loss {event['loss']:.4f}  "
              f"{event['seconds']:.2f} s/step  about {left:.0f} s left", file=sys.stderr, flush=True)


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
