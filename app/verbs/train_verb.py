"""The verb that teaches: train a concept here, in this process, and follow what happens in the terminal."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from app.arguments import parse_settings
from app.faults import SMALLER_BATCH, sentence_of
from app.jobs.allowed import allowed, consent_of
from app.jobs.device import the_device
from app.jobs.runs import EventLog, StopFile, WishFiles
from app.studio import Studio
from app.verbs.kinds import add_kind, check_faces
from app.verbs.lab_verbs import Verb, speaker
from app.verbs.ranks import from_main, is_main
from pipelines.methods import METHODS
from pipelines.wording import parse_concepts

_SETTINGS = {"steps": int, "seed": int, "batch": int, "rank": int, "learning_rate": float, "preview_every": int,
             "checkpoint_every": int, "precision": str}


def add(verb: Verb, open_studio: Callable[[argparse.Namespace], Studio]) -> None:
    """Register it on the command line."""
    train = verb("train", lambda o: _train(o, open_studio(o)), "teach a base a concept from a folder of pictures")
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
    add_kind(train)
    train.add_argument("--trigger", default="", help="made for you when not given")
    train.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                       help="any other setting of the method (see docs/METHODS.md)")
    for option, kind in _SETTINGS.items():
        train.add_argument(f"--{option.replace('_', '-')}", type=kind)
    train.add_argument("--tensorboard", action="store_true", help="write the run's numbers for TensorBoard too")
    train.add_argument("--resume", action="store_true",
                       help="go on with the latest unfinished run of this name")


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


def _train(options: argparse.Namespace, studio: Studio) -> dict[str, Any]:
    from pipelines.dataset_folders import Dataset, read_dataset

    started = time.monotonic()

    def begin() -> str:
        if options.resume:
            return str(_unfinished(studio, options.name))
        dataset = Dataset()
        if options.images:
            dataset = read_dataset(options.images, masks=options.masks, trigger=options.trigger)
        for notice in dataset.notices:
            print(notice, file=sys.stderr, flush=True)
        check_faces(dataset.pictures, options)
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
    speaker(options)(f"'{answer['name']}' is in {answer['adapter']}; its words are {words}")
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
        message = sentence_of(error, "The job", SMALLER_BATCH) if isinstance(error, Exception) else ""
        studio.store.end(job.id, "failed", message)
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
