"""The work of comparisons, evaluations and choices of a checkpoint, in a process of their own (see `worker`)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.files import write_text
from app.arguments import parse_adapter
from app.home import Home
from app.jobs.lab_jobs import RECOMMENDED, RESULT, CompareTask, EvaluateTask, RecommendTask, load_task
from app.library.library import Library

Report = Callable[[dict[str, Any]], None]


def work(folder: Path, report: Report) -> bool:
    """Do what the folder's task asks for; True, since a stop ends the process."""
    task = load_task(folder)
    report({"type": "stage", "text": "Opening what judges the pictures"})
    if isinstance(task, CompareTask):
        _compare(folder, task, report)
    elif isinstance(task, EvaluateTask):
        _evaluate(folder, task, report)
    else:
        _recommend(folder, task, report)
    return True


def _compare(folder: Path, task: CompareTask, report: Report) -> None:
    from pipelines.lab.choice import choose_encoders
    from pipelines.lab.compare import BIASES, Comparison
    from pipelines.lab.evaluate import Plan
    from pipelines.references import list_folder, open_image

    pictures = folder / "references"
    encoder = choose_encoders("", [open_image(p) for p in list_folder(pictures)], force=task.force,
                              offline=task.offline)[0]
    # The base alone, and for each method a training and every row that is painted with it.
    total = 1 + sum(1 + (len(BIASES) if m == "perfusion" else 1) for m in task.methods)
    done = 0
    report({"type": "stage", "text": "Painting with the base alone"})

    def say(text: str) -> None:
        nonlocal done
        done += 1
        report({"type": "progress", "done": done, "total": total})
        report({"type": "stage", "text": text.capitalize()})

    Comparison(folder, task.base, task.noun, pictures, task.methods, task.preset, task.steps,
               Plan(task.asked(), tuple(range(task.seeds))), task.offline,
               consent=task.consent).run(encoder, say)
    report({"type": "progress", "done": total, "total": total})


def _evaluate(folder: Path, task: EvaluateTask, report: Report) -> None:
    from pipelines.lab.choice import choose_encoders, sample_look_alikes
    from pipelines.lab.evaluate import Plan, evaluate, paint, words_of
    from pipelines.painter import Painter
    from pipelines.references import list_folder, open_image

    library = Library(Home(folder.parent.parent))
    name, strength, dials = parse_adapter(task.adapter)
    entry = library.get(name)
    references = [open_image(p) for p in list_folder(folder / "references")]
    encoders = choose_encoders("", references, force=task.force, offline=task.offline)
    plan, started = Plan(task.asked(), tuple(range(task.seeds))), time.monotonic()
    report({"type": "stage", "text": f"Painting with '{name}'"})
    pictures = paint(Painter(), task.base, [(entry.path, strength, dials)], *words_of(entry.record), plan,
                     offline=task.offline,
                     progress=lambda n, of: report({"type": "progress", "done": n, "total": of}))
    report({"type": "stage", "text": "Measuring"})
    others = sample_look_alikes(task.base, folder / "references")
    found = [evaluate(pictures, references, e, look_alikes=others, seeds=plan.seeds).as_dict() for e in encoders]
    library.add_figures(name, found[0])
    _write(folder / RESULT, {**found[0], "encoders": found, "adapter": name,
                             "seconds": round(time.monotonic() - started, 1)})


def _recommend(folder: Path, task: RecommendTask, report: Report) -> None:
    from pipelines.lab.choice import choose_encoders
    from pipelines.lab.evaluate import Plan
    from pipelines.lab.recommend import choose, files, look
    from pipelines.painter import Painter
    from pipelines.references import list_folder, open_image

    run = folder.parent / task.run
    references = [open_image(p) for p in list_folder(run / "references")]
    encoder = choose_encoders("", references, force=task.force, offline=task.offline)[0]
    total, done = len(files(run)), 0

    def say(text: str) -> None:
        nonlocal done
        done += 1
        report({"type": "progress", "done": done, "total": total})
        report({"type": "stage", "text": text.capitalize()})

    report({"type": "stage", "text": "Painting with the first checkpoint"})
    seen = look(run, encoder, Plan(task.asked()[:4], tuple(range(task.seeds)), class_images=0), Painter(), say)
    chosen, why = choose(seen)
    told = {"step": chosen.step, "why": why, "encoder": encoder.name, "checkpoints": [c.as_dict() for c in seen]}
    _write(run / RECOMMENDED, told)
    _write(folder / RESULT, told)


def _write(path: Path, told: dict[str, Any]) -> None:
    write_text(path, json.dumps(told, indent=1) + "\n")
