"""Comparisons, evaluations and choices of a checkpoint as jobs of the queue: what was asked, frozen, and what came out.

A job's folder has `task.json`, `references/` (pictures, and masks as `<picture>-maskN.png`), `events.jsonl` and, when
it has ended, `result.json`. Imports no torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from adapters.errors import StudioError
from adapters.files import write_text
from adapters.naming import MAX_LENGTH, check_name, check_noun
from app.arguments import parse_adapter
from app.concepts.consent import Consents
from app.concepts.drafts import Drafts
from app.concepts.showing import check_faces
from app.home import Home
from app.jobs.queue import Queue
from app.jobs.runs import folder_id
from app.jobs.store import JobStore
from app.library.library import Library
from pipelines.base_models.families import find_family
from pipelines.base_models.locate import locate
from pipelines.dataset_folders.model import Dataset
from pipelines.lab.prompts import DREAMBENCH_OBJECTS, STARTER
from pipelines.masks import find_masks
from pipelines.methods import config_class
from pipelines.methods.common import resolve, settings_error
from pipelines.references import list_folder, take_in
from pipelines.run_config import FILE, RunConfig

TASK, RESULT, RECOMMENDED = "task.json", "result.json", "recommended.json"
Prompt = Annotated[str, Field(max_length=400, pattern=r"\{(noun)?\}")]


class _Task(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    offline: bool = False
    draft: str = ""
    """The draft that the references come from, if they do."""
    consent: str = ""
    """The statement of consent that covers them, where they show a person."""
    image_hashes: tuple[str, ...] = ()
    """SHA-256 of the files that the references are of."""
    force: bool = False
    """Score pictures that the encoder was not made for."""
    seeds: int = Field(4, ge=1, le=64)
    """Pictures of each prompt."""
    prompts: tuple[Prompt, ...] = Field(default=(), max_length=40)
    """`{}` stands for the subject; empty: the base's usual ones."""

    def asked(self) -> tuple[str, ...]:
        """The prompts that are painted."""
        return self.prompts or (STARTER if self.base == "starter" else DREAMBENCH_OBJECTS)


class CompareTask(_Task):
    """Teach the references with several methods and hold them side by side."""

    kind: Literal["compare"] = "compare"
    noun: str
    methods: tuple[str, ...] = Field(min_length=1)
    preset: str = "balanced"
    steps: int | None = Field(None, ge=1, le=100_000)


class EvaluateTask(_Task):
    """Measure an adapter of the library, written NAME:WEIGHT:DIALS, against the references."""

    kind: Literal["evaluate"] = "evaluate"
    adapter: str


class RecommendTask(_Task):
    """Find the checkpoint of the training `run` to use."""

    kind: Literal["recommend"] = "recommend"
    run: str


Task = CompareTask | EvaluateTask | RecommendTask
_TASKS: TypeAdapter[Task] = TypeAdapter(Annotated[Task, Field(discriminator="kind")])


def load_task(folder: Path) -> Task:
    """What a job's folder asks for."""
    try:
        return _TASKS.validate_json((folder / TASK).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StudioError(f"The job in '{folder.name}' has no readable settings; start it anew.") from error


class Lab:
    """Queues them on one data folder."""

    def __init__(self, home: Home, store: JobStore, library: Library, drafts: Drafts, queue: Queue,
                 consents: Consents, *, stays: Callable[[], bool]) -> None:
        self.home, self.store, self.library, self.drafts, self.queue = home, store, library, drafts, queue
        self.consents, self.stays = consents, stays

    def compare(self, draft: str, methods: Sequence[str], *, base: str = "starter", preset: str = "balanced",
                steps: int | None = None, no_face: bool = False, **options: Any) -> str:
        """Queue a comparison of methods on a draft's pictures; returns its id. As for `no_face`, see `Studio.teach`."""
        found = self.drafts.get(draft)
        if len(found.things) > 1:
            raise StudioError(f"A comparison teaches one thing, this draft has {len(found.things)}; take the others "
                              "out.")
        name, noun = check_name(found.things[0].name), check_noun(found.things[0].noun)
        consent, family = self.consents.for_draft(found), find_family(locate(base), offline=self.stays())
        with self.drafts.dataset(draft) as dataset:
            self.consents.check_covers(consent, dataset.hashes)
            if not no_face:
                check_faces(found, dataset.samples)
            for method in methods:
                resolve(method, family, preset, steps=steps)
                if config_class(method).needs_masks and not all(dataset.masks):
                    raise StudioError(f"'{method}' needs a mask in each picture and not all have one; paint them under "
                                      "Concepts, or leave this method out.")
            task = _made(CompareTask, base=base, offline=self.stays(), draft=draft, consent=consent, noun=noun,
                         image_hashes=dataset.hashes, methods=tuple(dict.fromkeys(methods)), preset=preset, steps=steps,
                         **options)
            return self._add(task, name, dataset.pictures, dataset.masks)

    def compare_here(self, references: Path, noun: str, methods: Sequence[str], *, base: str, preset: str,
                     steps: int | None, seeds: int, prompts: Sequence[str], force: bool, consent: str = "") -> Path:
        """Note a comparison of a folder's pictures that this process makes itself; returns the job's folder.

        The browser shows it as it shows those of the queue, and nothing else has the device meanwhile. `consent` is the
        statement for pictures of a person.
        """
        pictures = list_folder(references)
        hashes = Dataset.of(pictures).hashes
        self.consents.check_covers(consent, hashes)
        task = _made(CompareTask, base=base, offline=self.stays(), noun=check_noun(noun), methods=tuple(methods),
                     preset=preset, steps=steps, seeds=seeds, prompts=tuple(prompts), force=force, consent=consent,
                     image_hashes=hashes)
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", references.resolve().name).strip("-_")[:MAX_LENGTH] or "pictures"
        return self.home.runs / self._add(task, name, pictures, find_masks(pictures), running_in=os.getpid())

    def evaluate(self, adapter: str, *, draft: str = "", run: str = "", base: str = "", **options: Any) -> str:
        """Queue an evaluation of an adapter against the pictures of a draft or a training; returns its id."""
        if bool(draft) == bool(run):
            raise StudioError("An evaluation holds an adapter against pictures; name either a draft or a training that "
                              "has them.")
        entry = self.library.get(parse_adapter(adapter)[0])
        consent = (self.consents.for_draft(self.drafts.get(draft)) if draft else
                   str(entry.record.provenance.get("consent", "")))
        with self._of_draft(draft) if draft else self._of_job(run) as (pictures, hashes):
            if draft:  # an adapter's consent is about the pictures that it was learned from
                self.consents.check_covers(consent, hashes)
            base = base or entry.base_spec
            if not base:
                raise StudioError(f"The base of '{entry.name}' is not here; name one that it fits.")
            return self._add(_made(EvaluateTask, base=base, offline=self.stays(), draft=draft, consent=consent,
                                   image_hashes=hashes, adapter=adapter, **options), entry.name, pictures)

    @contextlib.contextmanager
    def _of_draft(self, draft: str) -> Iterator[tuple[list[Path], Sequence[str]]]:
        with self.drafts.dataset(draft) as dataset:
            yield dataset.pictures, dataset.hashes

    @contextlib.contextmanager
    def _of_job(self, run: str) -> Iterator[tuple[list[Path], Sequence[str]]]:
        """The pictures of a training or a comparison, and the SHA-256 of the files that they are of."""
        folder = self.home.runs / self.queue.job(run).id
        told = read_json(folder / FILE) or read_json(folder / TASK) or {}
        yield sorted((folder / "references").glob("*.png")), told.get("image_hashes", ())

    def recommend(self, run: str, **options: Any) -> str:
        """Queue the choice of a training's checkpoint; returns the id of that job."""
        job = self.queue.job(run)
        folder = self.home.runs / run
        if job.kind != "train" or not any((folder / "checkpoints").glob("*.safetensors")):
            raise StudioError(f"'{job.name}' has no checkpoints to choose from; let it train on first.")
        config = RunConfig.load(folder)
        return self._add(_made(RecommendTask, base=config.base, offline=self.stays(), run=run,
                               **({"seeds": 2} | options)), job.name, ())

    def _add(self, task: Task, name: str, pictures: Sequence[Path], masks: Sequence[Sequence[Path]] = (), *,
             running_in: int | None = None) -> str:
        locate(task.base)
        folder = self.home.runs / folder_id(f"{name}-{task.kind}")
        with self.consents.held(task.consent):
            try:
                taken = take_in(pictures, folder / "references") if task.kind != "recommend" else ()
                for reference, mine in zip(taken, masks or [()] * len(taken), strict=True):
                    for n, mask in enumerate(mine):
                        shutil.copyfile(mask, reference.path.with_name(f"{reference.path.stem}-mask{n}.png"))
                write_text(folder / TASK, task.model_dump_json(indent=1))
                self.store.add(folder.name, name, kind=task.kind, running_in=running_in)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        self.queue.wake()
        return folder.name

    def result(self, run: str) -> dict[str, Any]:
        """What came out of a comparison or an evaluation, its pictures as addresses. Raises StudioError before the end.
        """
        job = self.queue.job(run)
        folder = self.home.runs / run
        found = read_json(folder / RESULT)
        if found is None:
            raise StudioError(f"'{job.name}' has no result yet; it is {job.state}.")
        if job.kind != "compare":
            return {"kind": job.kind, **found}
        task = load_task(folder)
        rows = [{**row, "pictures": [f"/studio/runs/{run}/pictures/{Path(p).parent.name}/{Path(p).name}"
                                     for p in row["pictures"]]} for row in found]
        return {"kind": job.kind, "prompts": task.asked(), "rows": rows,
                "encoder": rows[0]["figures"]["encoder"] if rows else ""}

    def recommended(self, run: str) -> dict[str, Any] | None:
        """The checkpoint that was chosen for a training, and why; None when none was."""
        found: dict[str, Any] | None = read_json(self.home.runs / run / RECOMMENDED)
        return found


def _made(kind: Any, **fields: Any) -> Any:
    try:
        return kind(**fields)
    except ValidationError as error:
        raise settings_error(error) from error


def read_json(path: Path) -> Any:
    """What a JSON file holds; None when there is none, or it is no JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
