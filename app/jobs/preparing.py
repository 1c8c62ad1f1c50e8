"""What a training is made of before it is queued: settings, concepts with names, the dataset's files; in its folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from adapters.errors import StudioError
from adapters.files import write_text
from adapters.naming import check_name, check_noun
from adapters.record import KINDS, Concept, ConceptKind
from app.concepts.consent import Consents
from app.errors import Taken
from app.home import Home
from app.jobs.queue import Queue
from app.jobs.runs import folder_id
from pipelines.base_models.families import find_family
from pipelines.base_models.locate import locate
from pipelines.dataset_folders import Dataset
from pipelines.masks import take_in_masks
from pipelines.methods.common import TrainingConfig, resolve
from pipelines.references import Reference, take_in
from pipelines.run_config import CLASS_IMAGES, RunConfig


class Preparing:
    """Makes the folders of trainings on one data folder. `stays` says whether the hub is asked for nothing."""

    def __init__(self, home: Home, queue: Queue, consents: Consents, *, stays: Callable[[], bool]) -> None:
        self.home, self.queue, self.consents, self.stays = home, queue, consents, stays

    def run(self, images: Sequence[Path] | Dataset, name: str, noun: str, *, base: str = "starter",
            method: str = "lora", preset: str = "balanced", memory: str | None = None, trigger: str = "",
            concepts: Sequence[tuple[str, str]] = (), tensorboard: bool = False, kinds: Sequence[str] = (),
            draft: str = "", consent: str = "", **overrides: Any) -> Path:
        """Check everything, then make the run's folder; nothing is left behind when a check fails.

        `images` are pictures, or a dataset with masks and captions; what it says of trigger, noun and settings
        counts where nothing else is asked for. `concepts` are (name, noun) of methods that learn several;
        without them they are made up from the name, the noun and the number of masks. `memory` is the
        graphics card's in GB (see `resolve`), `tensorboard` asks for its logs. `kinds` say what each concept is
        (KINDS); a person needs a statement of consent for all pictures, which is looked for unless it is named.
        """
        dataset = images if isinstance(images, Dataset) else Dataset.of(images)
        name, noun = check_name(name), check_noun(noun or (concepts[0][1] if concepts else dataset.noun))
        overrides = {**dataset.settings, **{k: v for k, v in overrides.items() if v is not None}}
        if self.queue.is_taken(name):
            raise Taken(self.queue.free_name(name), f"There is a concept '{name}' already; choose another name or "
                                                    "delete that one first.")
        training = resolve(method, find_family(locate(base), offline=self.stays()), preset, memory, **overrides)
        trigger = trigger or dataset.trigger
        named = concepts_of(training, name, noun, trigger, concepts,
                            len(dataset.masks[0]) if dataset.samples else 0, kinds)
        check_words(dataset, training, named)
        folder = self.home.runs / folder_id(name)
        try:
            take_in_dataset(dataset, folder, len(named), training)
            if not consent and any(c.kind == "person" for c in named):
                consent = self.consents.for_images(dataset.hashes).id
            self.consents.check_covers(consent, dataset.hashes)
            config = RunConfig(
                name=name, class_noun=noun, base=base, offline=self.stays(), trigger=trigger, concepts=named,
                image_hashes=dataset.hashes, tensorboard=tensorboard, training=training, draft=draft, consent=consent,
                repeats=unless_ones([s.repeats for s in dataset.samples]),
                weights=unless_ones([s.weight for s in dataset.samples]),
            )
            config.check_packages()
            config.save(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder


def concepts_of(training: TrainingConfig, name: str, noun: str, trigger: str, given: Sequence[tuple[str, str]],
                masks: int, kinds: Sequence[str]) -> tuple[Concept, ...]:
    """The run's concepts; triggers that are empty are made when it starts. A single kind counts for all."""
    if wrong := set(kinds) - {"", *KINDS}:
        raise StudioError(f"A concept is one of {', '.join(KINDS)}, not '{min(wrong)[:40]}'; choose one of these.")
    if given and not training.several and len(given) > 1:
        raise StudioError(f"'{training.method}' learns one concept at a time, {len(given)} were given; choose "
                          "break-a-scene or train each by itself.")
    if training.several and not given:
        given = [(name, noun)] if masks <= 1 else [(f"{name}{n + 1}", noun) for n in range(masks)]
    if not given or not training.several:
        given = [(name, given[0][1] if given else noun)]
    kinds = kinds if len(kinds) == len(given) else [kinds[0] if kinds else ""] * len(given)
    made = [Concept(name=check_name(n), noun=check_noun(w), trigger=trigger if len(given) == 1 else "",
                    kind=cast(ConceptKind, kind))
            for (n, w), kind in zip(given, kinds, strict=True)]
    if len({c.name.lower() for c in made}) < len(made):
        raise StudioError("Two concepts have the same name; give each its own.")
    return tuple(made)


def check_words(dataset: Dataset, training: TrainingConfig, concepts: Sequence[Concept]) -> None:
    """Raise StudioError when the dataset speaks of more things than the method can learn from it."""
    if dataset.others and training.learns_words:
        raise StudioError(f"'{training.method}' learns the word of one thing, the dataset has pictures of "
                          f"'{dataset.others[0][:60]}' too; take these out, or choose lora.")
    if dataset.class_images and len(concepts) > 1:
        raise StudioError(f"The regularisation pictures are of one class, {len(concepts)} concepts are learned; leave "
                          "them out, the base paints class images of each.")


def take_in_dataset(dataset: Dataset, folder: Path, concepts: int, training: TrainingConfig) -> list[Reference]:
    """The dataset's files, checked, in the run's folder."""
    references = take_in(dataset.pictures, folder / "references", dataset.most)
    kept = take_in_masks(dataset.pictures, dataset.masks, concepts, [r.path for r in references], folder / "masks")
    wanted = concepts * len(references)
    if training.needs_masks and training.masks != "auto" and kept < wanted:
        raise StudioError(f"'{training.method}' needs a mask for each concept in each picture, {kept} of {wanted} are "
                          "there; paint them, give maskN.png files, or let masks be found (masks = auto).")
    for sample, reference in zip(dataset.samples, references, strict=True):
        if sample.caption:
            write_text(reference.path.with_suffix(".txt"), sample.caption)
    if dataset.class_images:
        take_in(dataset.class_images, folder / CLASS_IMAGES, dataset.most)
    return references


def unless_ones(values: Sequence[float]) -> tuple[float, ...]:
    """What a run's configuration keeps of repeats or weights: nothing when all are 1."""
    return tuple(values) if any(v != 1 for v in values) else ()
