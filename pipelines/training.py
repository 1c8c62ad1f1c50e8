"""A whole training run in a folder: references in, adapter file out, resumable in between.

    config.json  references/*.png (*.txt: captions)  masks/<picture>-<concept>.png  class-images/*.png (where given)
    previews/*.png  checkpoints/*.safetensors  resume.pt  logs/ (where TensorBoard's are asked for)
    adapter.safetensors (when it ended)
"""

from __future__ import annotations

import contextlib
import io
import platform
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from PIL import Image

from adapters.errors import StudioError
from adapters.files import sweep, write_bytes
from adapters.host import Host
from adapters.record import AdapterRecord
from adapters.studio_file import save
from pipelines.base_models.load import load_base
from pipelines.base_models.locate import lasting, named
from pipelines.base_models.words import known_nouns, known_words
from pipelines.class_images import given_class_images
from pipelines.class_images import paint_class_images as own_class_images
from pipelines.dataset_folders import TRIGGER
from pipelines.denoising import NotFinite
from pipelines.frozen_base import hold_as_read, type_read
from pipelines.generator import Generator, Request
from pipelines.image_file import UsedAdapter, base_told, save_png
from pipelines.lesson import Lesson, Picture
from pipelines.masks import open_mask
from pipelines.matrix_attention import attend_by_matrices
from pipelines.memory import MORE_MEMORY, OutOfMemory, let_go, lower, ran_out
from pipelines.methods import recipe_builder
from pipelines.optimizers import check_rates
from pipelines.precision import base_dtype, pick_precision
from pipelines.references import list_folder, open_image
from pipelines.run_config import CLASS_IMAGES, RunConfig
from pipelines.scalars import LOGS, logging_scalars
from pipelines.trainer import Control, Hook, Report, Stopped, Trainer, heeding, never
from pipelines.triggers import choose_trigger, noun_warning
from pipelines.wording import with_article

ADAPTER_FILE = "adapter.safetensors"
RESUME_FILE = "resume.pt"
PREVIEW_PROMPTS = ("a photo of {}", "a photo of {} on the beach")
PREVIEW_SEED = 1234
ClassImages = Callable[[Host, str, int, Path | None, Report], list[Image.Image]]


def versions() -> dict[str, str]:
    """Of the libraries that decide what a run gives."""
    return {"python": platform.python_version(),
            **{n: version(n) for n in ("torch", "diffusers", "transformers", "peft", "accelerate")}}


@dataclass
class Run:
    """A training that is set up: the base, the adapter in it, the loop, and what is written beside."""

    folder: Path
    config: RunConfig
    host: Host
    trainer: Trainer
    record: AdapterRecord
    accelerator: Accelerator

    def save(self, path: Path) -> None:
        """The adapter as it is to be used: the running average of its weights, where one is kept."""
        with self.trainer.averaged():
            save(path, self.trainer.recipe.adapter, self.record)  # type: ignore[arg-type]

    def checkpoint(self, step: int, report: Report) -> None:
        """Adapter file of this step, then the state that resumes from it."""
        if not self.accelerator.is_main_process:
            return
        path = self.folder / "checkpoints" / f"{self.config.name}-step{step:08d}.safetensors"
        self.save(path)
        buffer = io.BytesIO()
        torch.save(self.trainer.state_dict(), buffer)
        write_bytes(self.folder / RESUME_FILE, buffer.getvalue())
        report({"type": "checkpoint", "step": step, "file": path.name})

    def preview(self, step: int, report: Report, stop: Callable[[], bool] = never) -> None:
        """Each preview prompt at the fixed seed, no further one once told to `stop`; step 0 is the base alone.

        A picture that is not finite is left out and told of: the loss says whether the training goes on.
        """
        if not self.accelerator.is_main_process:
            return
        subject = " and ".join(with_article(c.phrase) for c in self.record.concepts)
        # It has no file yet, so no hash; it is called as its checkpoint of this step would be.
        adapter = UsedAdapter(f"{self.config.name}-step{step:08d}", 1.0)
        base = base_told(self.config.base, self.host.identity.hash)
        with self.accelerator.autocast(), self.trainer.averaged():
            painter = Generator(self.host)
            for number, prompt in enumerate(PREVIEW_PROMPTS):
                if number and stop():
                    return
                try:
                    painted = painter.paint(Request(prompt=prompt.format(subject), seed=PREVIEW_SEED,
                                                    steps=self.config.training.preview_steps))
                except NotFinite:
                    report({"type": "warning", "text": f"A preview at step {step} came to values that are not finite "
                                                       "and is left out; where that goes on, train in the precision "
                                                       "bf16 or fp32."})
                    continue
                path = self.folder / "previews" / f"step{step:08d}-{number}.png"
                save_png(painted.images[0], path, {**painted.settings, "safety": painted.safety[0], **base}, [adapter])
                report({"type": "preview", "step": step, "number": number, "file": path.name,
                        "prompt": painted.settings["prompt"]})

    def logged(self, report: Report) -> AbstractContextManager[Report]:
        """`report`, which writes what TensorBoard shows too where the run asks for it."""
        if not (self.config.tensorboard and self.accelerator.is_main_process):
            return contextlib.nullcontext(report)
        settings = self.config.training
        return logging_scalars(
            self.folder / LOGS, report, first=self.trainer.step + 1, rates=self.trainer.rates,
            pictures=settings.batch * settings.accumulate * self.accelerator.num_processes)


def set_up(folder: Path, config: RunConfig, report: Report, *, taken: Collection[str] = (), cache: Path,
           class_images: ClassImages = own_class_images) -> Run:
    """Everything up to the first step of the run in `folder`.

    A trigger that is not in `taken` is chosen once and kept in the run's settings.
    """
    settings = config.training
    AcceleratorState._reset_state()  # one training after another in a process may each have its precision
    accelerator = Accelerator(
        mixed_precision=pick_precision(settings.precision),
        cpu=not (torch.cuda.is_available() or torch.backends.mps.is_available()),
    )
    if not accelerator.is_main_process:
        report = _silent
    report({"type": "stage", "text": f"Loading the base '{config.base}'"})
    host = load_base(config.base, offline=config.offline, quantize=settings.quantize,
                     dtype=base_dtype(settings, accelerator.mixed_precision),
                     tell=lambda text: report({"type": "stage", "text": text})).to(accelerator.device)
    if not config.concepts or not all(c.trigger for c in config.concepts):
        config = config.with_triggers(lambda given: choose_trigger(host.tokenizer, {*taken, *given}))
        if accelerator.is_main_process:
            config.save(folder)
    for concept in config.concepts:
        family = host.identity.family
        if warning := noun_warning(host.tokenizer, concept.noun, known_words(family), known_nouns(family)):
            report({"type": "warning", "text": warning})
    report({"type": "stage", "text": "Preparing the pictures"})
    lesson = Lesson(_pictures(folder, config), config.concepts, cache=cache, report=report,
                    class_images=lambda noun, count: (given_class_images(folder / CLASS_IMAGES, count)
                                                      or class_images(host, noun, count, cache, report)))
    # The main process first: the others find its class images and statistics in the cache.
    with accelerator.main_process_first(), torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        recipe = recipe_builder(settings.method)(host, settings, lesson)
        for phase in recipe.phases:
            check_rates(settings.optimizer, phase.rates)
        recipe.adapter.inject(host, "trained")
        samples = recipe.samples()
    if dtype := type_read(recipe, settings, accelerator.mixed_precision):
        hold_as_read(host, dtype)
    if accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16":
        attend_by_matrices(host)
    if settings.gradient_checkpointing:
        host.unet.enable_gradient_checkpointing()
    return Run(folder, config, host, Trainer(host, recipe, samples, settings, accelerator),
               _record(config, host, recipe.adapter.kind, recipe.adapter.spec, accelerator, folder.name), accelerator)


def train_run(folder: Path, *, report: Report, control: Control, taken: Collection[str] = (),
              cache: Path | None = None, asked: Callable[[str], bool] = lambda what: False) -> Path | None:
    """Run or resume the training in `folder`; the adapter's path, or None when it was stopped.

    A stopped run keeps its last step as a checkpoint and goes on from there when called again. `cache` keeps what later
    runs need again: class images and text statistics. `asked('save')` and `asked('sample')` are looked at after each
    step, for a checkpoint and a preview that are not due yet. Where the memory runs out, it goes on once from its last
    checkpoint with settings that need less (`lower`), which stay the run's; StudioError when that is not enough.
    """
    def attempt() -> Path | None:
        return _attempt(folder, report, control, taken, cache or folder / "cache", asked)

    try:
        return attempt()
    except OutOfMemory as error:
        step = error.step
    # Behind the handler, where nothing of the first attempt is held any more.
    let_go()
    config = RunConfig.load(folder)
    less, how = lower(config.training)
    if less is None:
        raise StudioError(f"The memory was not enough at step {step}, {how}; {MORE_MEMORY}.")
    config.model_copy(update={"training": less}).save(folder)
    report({"type": "warning", "text": f"The memory was not enough at step {step}; it goes on from the last checkpoint "
                                       f"with {how}."})
    try:
        return attempt()
    except OutOfMemory as error:
        raise StudioError(f"The memory was not enough at step {error.step}, with {how} either; "
                          f"{MORE_MEMORY}.") from error


def _attempt(folder: Path, report: Report, control: Control, taken: Collection[str], cache: Path,
             asked: Callable[[str], bool]) -> Path | None:
    """`train_run` once. Raises OutOfMemory when a step or what is done after it did not fit."""
    config = RunConfig.load(folder)
    config.check_packages()
    try:
        # A download and pictures of the class take long before there is a step to stop after.
        run = set_up(folder, config, heeding(report, control), taken=taken, cache=cache)
        resumed = _resume(run)
    except Stopped:
        report({"type": "stopped", "step": 0})
        return None
    settings, trainer = config.training, run.trainer
    if run.accelerator.is_main_process:
        sweep(folder)  # what a killed process was writing here
    else:
        report = _silent
    if resumed:
        report({"type": "resumed", "step": trainer.step})
    elif settings.preview_every:
        report({"type": "stage", "text": "First preview, without the adapter"})
        run.preview(0, report, control.stop_requested)
    report({"type": "stage", "text": "Training"})
    try:
        with run.logged(report) as told:
            finished = trainer.run(report=told, control=control, hooks=(
                Hook(settings.checkpoint_every, lambda step: run.checkpoint(step, report), lambda: asked("save")),
                Hook(settings.preview_every, lambda step: run.preview(step, report, control.stop_requested),
                     lambda: asked("sample")),
            ))
    except Stopped:  # a later phase was painting its pictures of the class
        if trainer.step:
            run.checkpoint(trainer.step, report)
        finished = False
    except (RuntimeError, MemoryError) as error:
        if run.accelerator.num_processes > 1 or not ran_out(error):  # one of several cannot go back alone
            raise
        raise OutOfMemory(trainer.step + 1) from error
    if not finished:
        report({"type": "stopped", "step": trainer.step})
        return None
    path = folder / ADAPTER_FILE
    if run.accelerator.is_main_process:
        run.save(path)
    report({"type": "finished", "step": trainer.step, "trigger": run.record.phrase})
    return path


def _resume(run: Run) -> bool:
    """Go on where the run was left; False when it begins."""
    if not (run.folder / RESUME_FILE).exists():
        return False
    run.trainer.load_state_dict(torch.load(run.folder / RESUME_FILE, weights_only=True))
    return True


def _silent(event: dict[str, Any]) -> None:
    """The report of every process but the main one."""


def _pictures(folder: Path, config: RunConfig) -> tuple[Picture, ...]:
    """The run's references, each with the masks that lie in `masks/` and its caption, the trigger put in."""
    paths = list_folder(folder / "references")
    if not paths:
        raise StudioError("The run's folder has no pictures; start it anew with 1 to 30 pictures.")
    repeats, weights = (given or (1.0,) * len(paths) for given in (config.repeats, config.weights))
    if not len(repeats) == len(weights) == len(paths):
        raise StudioError(f"The run's folder has {len(paths)} pictures and its settings are for {len(config.repeats)}; "
                          "start it anew.")
    found = []
    for path, often, weight in zip(paths, repeats, weights, strict=True):
        image = open_image(path)
        masks = [folder / "masks" / f"{path.stem}-{n}.png" for n in range(len(config.concepts))]
        file = path.with_suffix(".txt")
        caption = file.read_text("utf-8").strip().replace(TRIGGER, config.trigger) if file.exists() else ""
        found.append(Picture(image, tuple(open_mask(m, image) for m in masks if m.exists()), caption, often, weight))
    return tuple(found)


def _config_told(config: RunConfig) -> dict[str, Any]:
    """A training's settings, without where a model for masks lies on this machine."""
    return {**config.training.model_dump(), "mask_model": named(config.training.mask_model)}


def _record(config: RunConfig, host: Host, kind: str, spec: dict[str, Any], accelerator: Accelerator,
            run: str) -> AdapterRecord:
    return AdapterRecord(
        kind=kind, method=config.training.method, name=config.name, base=host.identity,
        trigger=config.trigger, class_noun=config.class_noun, concepts=config.concepts, spec=spec,
        provenance={
            "run": run, "base": lasting(config.base), "config": _config_told(config),
            "precision": accelerator.mixed_precision, "device": str(accelerator.device),
            "images_sha256": list(config.image_hashes), **({"consent": config.consent} if config.consent else {}),
            "versions": versions(), "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
