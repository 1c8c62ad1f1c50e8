"""The studio's verbs: what the command line and the browser both call. Imports no torch."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.errors import StudioError
from adapters.naming import MAX_LENGTH, check_name
from app.arguments import Use, with_tags
from app.common import Part
from app.concepts.consent import Consents, Statement
from app.concepts.drafts import Drafts
from app.concepts.erasing import Eraser, Mentions
from app.concepts.looker import LookerProcess
from app.concepts.showing import check_faces
from app.errors import Taken
from app.home import Home
from app.jobs.estimating import likely
from app.jobs.job import RESUMABLE, Job, Kind
from app.jobs.job_files import JobFiles
from app.jobs.lab_jobs import Lab
from app.jobs.preparing import Preparing
from app.jobs.queue import Queue
from app.jobs.runs import WISHES, RunView, StopFile, WishFiles, view
from app.jobs.store import JobStore
from app.jobs.supervisor import Supervisor
from app.library import credentials
from app.library.imports import import_into
from app.library.library import Library
from app.library.library_entry import Entry
from app.painting.gallery import Gallery
from app.painting.painter import PainterProcess, Watch, keep_only_with
from app.painting.paintings import Paintings
from app.painting.styles import Styles
from app.system.bases import Bases
from app.system.downloads import Downloads
from app.system.examining import Examiner
from app.system.machine import folder_bytes
from app.system.migrations import bring_up
from app.system.preferences import Preferences
from pipelines.base_models.families import find_family
from pipelines.base_models.locate import locate
from pipelines.dataset_folders import Dataset
from pipelines.estimate import Estimate
from pipelines.methods.common import resolve, settings_error
from pipelines.request import Request


class Studio:
    """Everything that a person can do, on one data folder."""

    def __init__(self, home: Home, *, offline: bool = False, fetches: bool = False, part: Part | None = None) -> None:
        """`part` is one person's where several share the machine; without it all of the machine is this studio's.

        With `fetches`, as on the command line, where a person typed its id, a hub model is downloaded where it is used.
        """
        self.home, self.told_offline, self.fetches, self.part = home, offline, fetches, part
        bring_up(home)
        common = part.common if part else None
        self.preferences = Preferences.load(home.preferences)
        self.store = JobStore(home.database, JobFiles(home), part.most_jobs if part else None)
        self.library = Library(home)
        self.supervisor = Supervisor(home, self.store, self.library, common.device if common else None)
        self.consents = Consents(home.consents)
        self.queue = Queue(home, self.store, self.library, self.consents, self.supervisor.wake,
                           lambda: common is not None and common.device.holder not in ("", home.root.name))
        self.preparing = Preparing(home, self.queue, self.consents, stays=lambda: self.stays)
        self.painter = common.painter if common else PainterProcess()
        self.looker = common.looker if common else LookerProcess()
        self.drafts = Drafts(home.drafts, home.trash / "drafts")
        self.lab = Lab(home, self.store, self.library, self.drafts, self.queue, self.consents,
                       stays=lambda: self.stays)
        self.gallery = Gallery(home)
        self.examiner = Examiner(home)
        self.styles = Styles(home.root / "styles.json")
        self.paintings = Paintings(home, self.generate, self.new_pictures, part.most_jobs if part else None)
        self.eraser = Eraser(home, self.store, self.drafts, self.consents, self.paintings, Mentions(
            self.gallery, self.styles, part.unshare if part else lambda adapter: 0))
        self.bases = common.bases if common else Bases(home)
        self.downloads = common.downloads if common else Downloads(self.bases)

    @property
    def offline(self) -> bool:
        """Whether the model hub is asked for nothing: by `--offline`, or by the switch that is kept."""
        return self.told_offline or self.preferences.offline

    @property
    def stays(self) -> bool:
        """Whether the hub is asked for nothing that is used: in the browser a base comes by System's download alone."""
        return self.offline or not self.fetches

    def set_offline(self, offline: bool) -> None:
        """Turn the switch, and keep it. Raises StudioError when the studio was started with --offline."""
        if self.told_offline and not offline:
            raise StudioError("The studio was started with --offline; start it without to go online.")
        self.preferences = self.preferences.model_copy(update={"offline": offline})
        self.preferences.save(self.home.preferences)

    def prepare_run(self, images: Sequence[Path] | Dataset, name: str, noun: str, **options: Any) -> Path:
        """Make the folder of a run without queueing it, of pictures or a dataset (see `Preparing.run`)."""
        return self.preparing.run(images, name, noun, **options)

    def start_training(self, images: Sequence[Path] | Dataset, name: str, noun: str, *, kind: Kind = "train",
                       asked: str = "", running_in: int | None = None, **options: Any) -> str:
        """Queue a training, or the pre-flight of one; returns the run's id, the same for the same question `asked`.

        With `running_in` it is noted as that process's work instead of queued.
        """
        if before := self.store.asked(asked):
            return before
        self.supervisor.settle_dead()  # not while the consent is held, which what it settles may wait for
        with self.consents.held(options.get("consent", "")):
            folder = self.prepare_run(images, name, noun, **options)
            try:
                run = self.store.add(folder.name, check_name(name), kind=kind, first=kind == "preflight", asked=asked,
                                     running_in=running_in)
            except StudioError:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        if run != folder.name:  # the same question came a moment before
            shutil.rmtree(folder, ignore_errors=True)
        self.supervisor.wake()
        return run

    def teach(self, draft: str, *, name: str = "", no_face: bool = False, **options: Any) -> str:
        """Queue a training of a draft (see `start_training`), as `name` or as the draft's; returns the run's id.

        Raises ShowsFace where it seems to show a person that it does not speak of, unless there is said to be
        `no_face`.
        """
        found = self.drafts.get(draft)
        own = found.things[0].name
        options |= {"draft": draft, "kinds": [t.kind for t in found.things], "consent": self.consents.for_draft(found)}
        if len(found.things) > 1:
            options["concepts"] = [(t.name, t.noun) for t in found.things]
            own = "-".join(check_name(t.name) for t in found.things)[:MAX_LENGTH]
        with self.drafts.dataset(draft) as dataset:
            if not no_face:
                check_faces(found, dataset.samples)
            return self.start_training(dataset, name or own, found.things[0].noun, **options)

    def erase(self, name: str) -> list[str]:
        """Erase everything about a concept, for good; says what went. What is being painted with it is cancelled."""
        with self.consents.held():
            return self.eraser.concept(name)

    def revoke(self, consent: str) -> Statement:
        """Erase all that was made under a statement of consent; the statement stays, with what was removed."""
        with self.consents.held():
            return self.consents.close(consent, self.eraser.statement(self.consents.get(consent)))

    def empty_trash(self) -> int:
        """Erase all that was deleted, for good; returns the bytes that are free again."""
        freed = folder_bytes(self.home.trash)
        self.queue.erase_deleted()
        shutil.rmtree(self.home.trash, ignore_errors=True)
        return freed - folder_bytes(self.home.trash)

    def preflight(self, draft: str, **options: Any) -> str:
        """Queue one real step of a draft's training before all that waits; returns its id.

        What runs is not disturbed. Earlier ones that have ended are thrown away: they hold copies only.
        """
        self.queue.erase_preflights()
        try:
            return self.teach(draft, kind="preflight", **options)
        except Taken as error:  # it keeps nothing under its name
            return self.teach(draft, kind="preflight", **{**options, "name": error.free})

    def estimate(self, *, base: str = "starter", method: str = "lora", preset: str = "balanced",
                 memory: str | None = None, **settings: Any) -> Estimate:
        """What a training of these settings will most likely take; nothing is queued or opened for it."""
        family = find_family(locate(base), offline=self.stays)
        return likely(self.home, self.store, resolve(method, family, preset, memory, **settings), base, family)

    def estimate_of(self, run: str) -> Estimate:
        """The same for a training by its id, of its frozen settings. Raises StudioError for a job of another kind."""
        config = self.queue.frozen(run)
        family = find_family(locate(config.base), offline=self.stays)
        return likely(self.home, self.store, config.training, config.base, family)

    def wish(self, run: str, what: str) -> None:
        """Ask a running training for a checkpoint ('save') or a preview ('sample') after its present step."""
        job = self.job(run)
        if what not in WISHES or job.kind != "train" or job.state != "running":
            raise StudioError(f"'{job.name}' is {job.state}; only a training that runs can "
                              f"{' or '.join(WISHES)} now.")
        WishFiles(self.home.runs / run).ask(what)

    def job(self, run: str) -> Job:
        """A run by id; StudioError when there is none."""
        return self.queue.job(run)

    def jobs(self) -> list[Job]:
        """All runs, newest first."""
        return self.store.all()

    def view(self, run: str) -> RunView:
        """What a run's events say."""
        return view(self.home.runs / self.job(run).id)

    def stop(self, run: str) -> None:
        """Stop after the current step, keeping a checkpoint; a queued run leaves the queue."""
        self.job(run)
        if not self.store.cancel(run):
            StopFile(self.home.runs / run).request()

    def resume(self, run: str) -> None:
        """Queue a stopped, failed or interrupted run again, from its last checkpoint."""
        job = self.job(run)
        if job.state in RESUMABLE:
            StopFile(self.home.runs / run).clear()
        if not self.queue.requeue(run):
            raise StudioError(f"'{job.name}' is {job.state}; only a stopped or failed training can "
                              "be resumed.")
        self.supervisor.wake()

    def keep(self, run: str, step: int | None = None) -> str:
        """Put a run's last checkpoint, or that of a step, into the library; returns its name there."""
        job = self.job(run)
        if job.kind != "train":
            raise StudioError(f"'{job.name}' is no training and has no checkpoints; choose a training.")
        return self.supervisor.publish(job, step)

    def generate(self, request: dict[str, Any], *, base: str = "starter",
                 adapters: Sequence[Use] = (),
                 files: Sequence[Path] = (), watch: Watch | None = None,
                 edit: tuple[Path, Path | None] | None = None,
                 regions: Mapping[str, Path] | None = None) -> list[Path]:
        """Paint in the warm process; returns the files, in the home's `images` folder where none are given.

        `<lora:name:weight>` in the prompt takes that adapter too. With `edit`, a picture and perhaps its mask, that
        picture is painted anew, with a mask only where it is white. `regions` are masks of adapters, by name, that
        are to be there alone.
        """
        try:
            asked = Request.model_validate(request)
        except ValidationError as error:
            raise settings_error(error) from error
        locate(base)
        prompt, every = with_tags(asked.prompt, adapters)
        chosen = [(self.adapter_file(name), strength, dials) for name, strength, dials in every]
        files = files or self.new_pictures(asked.images)
        self.painter.paint(base, chosen, {**asked.model_dump(exclude_unset=True), "prompt": prompt}, files,
                           offline=self.stays, watch=watch, edit=edit,
                           regions={self.adapter_file(name): mask for name, mask in (regions or {}).items()})
        try:
            for file in files:
                credentials.sign(file, self.home.root)
        finally:
            keep_only_with([*(path for path, *_ in chosen), *(edit or ())[:1]], files)
        return list(files)

    def new_pictures(self, count: int) -> list[Path]:
        """Free names of pictures that are made at one time."""
        stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        return [self.home.images / f"{stamp}-{n}.png" for n in range(count)]

    def adapter_file(self, name: str) -> Path:
        """The file of an adapter of the library, of a training's checkpoint (NAME-step00000500), or one that somebody
        else shares (NAME@OWNER)."""
        if "@" in name and self.part:
            return self.part.lent.file(name)
        training, _, step = name.rpartition("-step")
        if step.isdecimal() and not self.library.has(name):
            for job in self.store.all():
                file = self.home.runs / job.id / "checkpoints" / f"{training}-step{step}.safetensors"
                if job.name == training and file.is_file():
                    return file
        return self.library.get(name).path

    def room(self, size: int) -> AbstractContextManager[None]:
        """Let `size` bytes more come into the data folder; DiskQuota where a person has a share and that is used up."""
        return self.part.room(size) if self.part else nullcontext()

    def export(self, name: str, format: str, out: Path, *, approximate: int | None = None,
               base: str = "") -> Any:
        """Write an adapter for other programs; the report says how it read back.

        `approximate`, a rank, allows a LoRA that only comes near what it is made of; `base` is then used in
        the place of the one that the adapter names.
        """
        from pipelines.exchange import export

        return export(self.library.get(name).path, format, out, approximate=approximate, base=base,
                      offline=self.stays)

    def import_file(self, path: Path, name: str | None = None) -> Entry:
        """Take an adapter file into the library under its own name or the first free one."""
        return import_into(self.library, path, name)

    def close(self) -> None:
        """End the children, but for those that others have too."""
        self.supervisor.close()
        self.paintings.close()
        if self.part:
            return
        self.downloads.close()
        self.painter.close()
        self.looker.close()
