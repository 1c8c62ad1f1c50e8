"""The verbs of the labs: what an adapter has learned, which method or checkpoint does it best."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.errors import StudioError
from adapters.naming import check_name, check_noun
from app.home import Home
from app.jobs.lab_jobs import read_json
from app.studio import Studio
from app.verbs.as_job import as_job
from app.verbs.kinds import add_kind, check_faces, consent_for
from pipelines.methods import METHODS, config_class

if TYPE_CHECKING:
    from pipelines.lab.compare import Row
    from pipelines.lab.encoders import Encoder
    from pipelines.lab.evaluate import Evaluation

Verb = Callable[[str, Callable[[argparse.Namespace], dict[str, Any]], str], argparse.ArgumentParser]


def add(verb: Verb) -> None:
    """Register them on the command line."""
    evaluate = verb("evaluate", _evaluate, "measure likeness and prompt following of an adapter")
    compare = verb("compare", _compare, "teach the same pictures with several methods and compare them")
    for parser in (evaluate, compare):
        parser.add_argument("--base", default="starter")
        parser.add_argument("--references", type=Path, required=True, help="folder of pictures of the subject")
        parser.add_argument("--prompts", type=Path, help="text file, one prompt a line, {} for the subject")
        parser.add_argument("--seeds", type=int, default=4, help="pictures of each prompt")
        parser.add_argument("--encoder", default="", help="a CLIP model's folder or hub id; else the best here")
        parser.add_argument("--force", action="store_true", help="score pictures that the encoder was not made for")
    recommend = verb("recommend", _recommend, "find the checkpoint of a training to use, and say why")
    recommend.add_argument("name", help="of the training")
    recommend.add_argument("--keep", metavar="NAME", help="put that checkpoint into the library under this name")
    recommend.add_argument("--force", action="store_true", help="score pictures that the encoder was not made for")
    dreambench = verb("dreambench", _dreambench, "measure a method on DreamBench: 30 subjects, 25 prompts, 4 seeds")
    dreambench.add_argument("--base", required=True)
    dreambench.add_argument("--data", type=Path, required=True, help="the dataset's folder, with one a subject")
    dreambench.add_argument("--method", default="lora", help=", ".join(METHODS))
    dreambench.add_argument("--preset", default="balanced")
    dreambench.add_argument("--steps", type=int)
    dreambench.add_argument("--subjects", default="", help="some of them, with commas between")
    dreambench.add_argument("--prompts", type=int, default=25, help="fewer are a quick look")
    dreambench.add_argument("--seeds", type=int, default=4, help="pictures of each prompt")
    dreambench.add_argument("--encoder", default="", help="a CLIP model's folder or hub id; else those here")
    add_kind(dreambench)
    dreambench.add_argument("--force", action="store_true", help="score pictures that the encoder was not made for")
    dreambench.add_argument("--out", type=Path, help="where everything is kept; the same folder goes on")
    evaluate.add_argument("--out", type=Path, help="folder for the pictures")
    compare.add_argument("--out", type=Path, help="folder for pictures, plot and result.json")
    evaluate.add_argument("--adapter", required=True, metavar="NAME:WEIGHT[:DIAL=VALUE,...]")
    evaluate.add_argument("--phrase", default="", help="what to call it in prompts; else the adapter's own words")
    evaluate.add_argument("--look-alikes", type=Path, help="folder with a subfolder of pictures for each other one")
    compare.add_argument("--methods", default="lora,textual-inversion,perfusion", help=", ".join(METHODS))
    compare.add_argument("--class-noun", default="", help="what the thing is, such as 'dog'; else as sample.json says")
    compare.add_argument("--preset", default="balanced")
    compare.add_argument("--steps", type=int)
    add_kind(compare)


def open_studio(options: argparse.Namespace) -> Studio:
    """The studio on the data folder that the options name."""
    return Studio(Home.open(getattr(options, "home", None)), offline=getattr(options, "offline", False),
                  fetches=True)


def speaker(options: argparse.Namespace) -> Callable[[str], None]:
    """Prints for people: to stderr where stdout belongs to JSON."""
    out = sys.stderr if getattr(options, "json", False) else sys.stdout
    return lambda text: print(text, file=out, flush=True)


def _plan(options: argparse.Namespace) -> Any:
    from pipelines.lab.evaluate import Plan
    from pipelines.lab.prompts import DREAMBENCH_OBJECTS, STARTER, read_prompts

    if not 1 <= options.seeds <= 64:
        raise StudioError(f"--seeds is how many pictures each prompt gets, from 1 to 64, but it is {options.seeds}.")
    chosen = read_prompts(options.prompts) if options.prompts else None
    usual = STARTER if options.base == "starter" else DREAMBENCH_OBJECTS
    return Plan(tuple(chosen or usual), tuple(range(options.seeds)))


def _encoders(options: argparse.Namespace, references: list[Any]) -> list[Encoder]:
    from pipelines.lab.choice import choose_encoders

    return choose_encoders(options.encoder, references, force=options.force,
                           offline=open_studio(options).stays)


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    from app.arguments import parse_adapter
    from pipelines.lab.choice import sample_look_alikes
    from pipelines.lab.compare import keep
    from pipelines.lab.evaluate import evaluate, paint, pictures_in, words_of
    from pipelines.painter import Painter
    from pipelines.references import list_folder, open_image

    studio, say = open_studio(options), speaker(options)
    name, strength, dials = parse_adapter(options.adapter)
    entry = studio.library.get(name)
    plan = _plan(options)
    references = [open_image(p) for p in list_folder(options.references)]
    encoders = _encoders(options, references)
    others = pictures_in(options.look_alikes) if options.look_alikes else sample_look_alikes(
        options.base, options.references)
    phrase, noun = (options.phrase, entry.record.class_noun) if options.phrase else words_of(entry.record)
    started = time.monotonic()
    pictures = paint(Painter(), options.base, [(entry.path, strength, dials)], phrase, noun, plan,
                     offline=studio.stays, progress=lambda n, of: None if n % 10 else say(f"{n}/{of} painted"))
    if options.out:
        keep(options.out, pictures)
    found = [evaluate(pictures, references, e, look_alikes=others, seeds=plan.seeds) for e in encoders]
    for f in found:
        said = f", prompt following {f.prompt}" if f.prompt else ""
        say(f"{f.encoder}: likeness {f.identity}{said}{_among(f)}; {f.images} pictures, seeds {plan.seeds[0]} to "
            f"{plan.seeds[-1]}, 95% intervals over prompts")
    card = studio.library.add_figures(name, found[0].as_dict())
    say(f"the figures stand in '{card}'")
    return {**found[0].as_dict(), "encoders": [f.as_dict() for f in found], "adapter": name,
            "seconds": round(time.monotonic() - started, 1)}


def _among(found: Evaluation) -> str:
    """How often it is the right one among look-alikes; '' where there are none."""
    if found.retrieval is None:
        return ""
    half = found.halves["retrieval"]
    within = "" if half is None else f" +- {half:.0%}"
    return f", right one of {found.look_alikes + 1} in {found.retrieval:.0%}{within}"


def _recommend(options: argparse.Namespace) -> dict[str, Any]:
    from pipelines.lab.choice import choose_encoders
    from pipelines.lab.evaluate import Plan
    from pipelines.lab.prompts import DREAMBENCH_OBJECTS, STARTER
    from pipelines.lab.recommend import choose, look
    from pipelines.painter import Painter
    from pipelines.references import list_folder, open_image
    from pipelines.run_config import RunConfig

    studio, say = open_studio(options), speaker(options)
    folder = next((studio.home.runs / j.id for j in studio.jobs() if (j.name, j.kind) == (options.name, "train")), None)
    if folder is None:
        raise StudioError(f"There is no training '{options.name}'; give the name that it was started with.")
    usual = STARTER if RunConfig.load(folder).base == "starter" else DREAMBENCH_OBJECTS
    references = [open_image(p) for p in list_folder(folder / "references")]
    encoder = choose_encoders("", references, force=options.force, offline=studio.stays)[0]
    seen = look(folder, encoder, Plan(usual[:4], (0, 1), class_images=0), Painter(), say)
    chosen, why = choose(seen)
    say(f"{why}\n{chosen.path}")
    kept = studio.library.add(chosen.path, check_name(options.keep)).name if options.keep else None
    return {"step": chosen.step, "file": str(chosen.path), "why": why, "encoder": encoder.name, "kept": kept,
            "checkpoints": [c.as_dict() for c in seen]}


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    from pipelines.lab.compare import Comparison
    from pipelines.references import list_folder, open_image

    studio = open_studio(options)
    methods = [m.strip() for m in options.methods.split(",") if m.strip()]
    for method in methods:
        config_class(method)  # a wrong name is said before anything is trained
    plan, pictures = _plan(options), list_folder(options.references)
    check_faces(pictures, options)
    consent = consent_for(studio, pictures, options)
    noun = check_noun(options.class_noun or _noun_of(options.references))
    encoder = _encoders(options, [open_image(p) for p in pictures])[0]
    folder = studio.lab.compare_here(options.references, noun, methods, base=options.base,
                                     preset=options.preset, steps=options.steps, seeds=options.seeds,
                                     prompts=plan.prompts, force=options.force, consent=consent)
    out = options.out or folder
    with as_job(studio, folder, speaker(options)) as say:
        rows = Comparison(out, options.base, noun, options.references, methods, options.preset,
                          options.steps, plan, studio.stays, consent=consent).run(encoder, say)
        _pictures(rows, out, encoder.name)
        if out != folder:
            _shown_too(rows, out, folder)
    for row in rows:
        say(_line(row))
    say(f"pictures, plot and figures are in '{out}'")
    return {"folder": str(out), "encoder": encoder.name, "rows": [
        {"method": r.method, "label": r.label, "seconds": r.seconds, "peak_bytes": r.peak_bytes,
         "file_bytes": r.file_bytes, **r.figures} for r in rows]}


def _noun_of(references: Path) -> str:
    """What a folder's sample.json calls its thing; where nothing does, a word that is true of each."""
    told = read_json(references / "sample.json")
    return str(told.get("noun") or "thing") if isinstance(told, dict) else "thing"


def _shown_too(rows: list[Row], out: Path, folder: Path) -> None:
    """What the browser shows of a comparison, from where it was made into its job's folder."""
    for picture in (Path(p) for r in rows for p in r.pictures):
        target = folder / "pictures" / picture.parent.name / picture.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, target)
    shutil.copyfile(out / "result.json", folder / "result.json")


def _dreambench(options: argparse.Namespace) -> dict[str, Any]:
    from pipelines.lab.dreambench import DreamBench, subjects_in
    from pipelines.references import list_folder, open_image

    studio, say = open_studio(options), speaker(options)
    config_class(options.method)  # a wrong name is said before anything is trained
    for count, most, what in ((options.seeds, 64, "seeds"), (options.prompts, 25, "prompts")):
        if not 1 <= count <= most:
            raise StudioError(f"--{what} is a number from 1 to {most}, but it is {count}.")
    subjects = [s.strip() for s in options.subjects.split(",") if s.strip()]
    pictures = [list_folder(options.data / name) for name in subjects_in(options.data, subjects)]
    every = [p for of_one in pictures for p in of_one]
    check_faces(every, options)
    consent = consent_for(studio, every, options)
    encoders = _encoders(options, [open_image(p) for p in pictures[0]])
    out = options.out or studio.home.root / "dreambench" / options.method
    found = DreamBench(options.data, out, options.base, options.method, options.preset, options.steps, subjects,
                       options.seeds, options.prompts, studio.stays, consent).run(encoders, say)
    for name, told in found["encoders"].items():
        say(f"{name}: " + ", ".join(f"{figure} {told[figure]['mean']:.3f}" for figure in ("identity", "prompt")
                                    if figure in told) + f"; {found['subjects']} of {found['of']} subjects")
    say(f"everything is kept in '{out}'")
    return found


def _line(row: Row) -> str:
    cost = f"{row.seconds:.0f} s, {row.peak_bytes / 1e6:.0f} MB, file {row.file_bytes / 1000:.0f} kB" \
        if row.seconds else "nothing trained"
    prompt = row.figures["prompt"]
    said = "not read by this encoder" if prompt is None else f"{prompt:.3f}"
    return (f"{row.label:24} likeness {row.figures['identity']:.3f}  prompt {said}  "
            f"copied {row.figures['copied'] or 0:.0%}  {cost}")


def _pictures(rows: list[Row], out: Path, encoder: str) -> None:
    from pipelines.contact_sheet import grid
    from pipelines.lab.plots import Point, pareto
    from pipelines.references import open_image

    across, files = len(rows[0].pictures), [Path(p) for r in rows for p in r.pictures]
    grid([open_image(f) for f in files], [r.label if not n else "" for r in rows for n in range(across)],
         out / "grid.png", across=across, files=files)
    if rows[0].figures["prompt"] is None:  # the encoder reads no words, so there is nothing to plot against
        return
    points = [Point(r.label, r.method, r.figures["prompt"] or 0, r.figures["identity"],
                    r.figures["interval"]["prompt"] or 0, r.figures["interval"]["identity"] or 0) for r in rows]
    pareto(points, out / "pareto.png", x=f"prompt following ({encoder})", y=f"likeness ({encoder})")
