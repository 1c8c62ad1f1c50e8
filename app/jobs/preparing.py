"""What a training is made of before it is queued: concepts with names, the dataset's files checked and copied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from adapters.errors import StudioError
from adapters.files import write_text
from adapters.naming import check_name, check_noun
from adapters.record import KINDS, Concept, ConceptKind
from pipelines.dataset_folders import Dataset
from pipelines.masks import take_in_masks
from pipelines.methods.common import TrainingConfig
from pipelines.references import Reference, take_in
from pipelines.run_config import CLASS_IMAGES


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
