"""OneTrainer's concepts.json: a list of concepts, or a training configuration that has one. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from pipelines.dataset_folders.model import Dataset, Subset, assemble, pictures_in, shown
from pipelines.dataset_folders.reading import caption_file, file_of, folder_of, number, read_captions, text, unknown

_CONCEPT = ("name", "path", "enabled", "type", "include_subdirectories", "balancing", "balancing_strategy",
            "loss_weight", "image", "text", "__version", "seed", "concept_stats")
_IMAGE = ("enable_random_flip", "__version")
_TEXT = ("prompt_source", "prompt_path", "__version")
_OFF = {"image_variations": 1, "text_variations": 1}
_MANY = 10_000  # pictures in a tree of folders, far more than are used


def read_concepts(file: Path, concepts: list[dict[str, Any]], trigger: str) -> Dataset:
    """Every enabled concept; all are pictures of one thing, OneTrainer's concepts being groups of pictures."""
    subsets, unused = list[Subset](), list[str]()
    for concept in concepts:
        name = shown(str(concept.get("name") or concept.get("path")))
        if not concept.get("enabled", True):
            continue
        if concept.get("type", "STANDARD") != "STANDARD" or concept.get("validation_concept"):
            unused.append(f"the concept {name} of type {concept.get('type', 'VALIDATION')}")
            continue
        image, words = (concept.get(part) or {} for part in ("image", "text"))
        if not isinstance(image, dict) or not isinstance(words, dict):
            raise StudioError(f"The concept {name} in '{file.name}' has no tables as 'image' and 'text'; save it once "
                              "more in OneTrainer.")
        unused += [k for k in unknown(concept, _CONCEPT) if concept[k] not in (_OFF.get(k), None, False, "")]
        for part, table, known in (("image", image, _IMAGE), ("text", words, _TEXT)):
            unused += _switches(table, known, f"{part}.")
        subsets.append(_subset(file, concept, image, words))
    if not subsets:
        raise StudioError(f"'{file.name}' has no concept that is switched on and of type STANDARD; switch one on.")
    return assemble(subsets, unused, trigger=trigger)


def _switches(table: dict[str, Any], known: tuple[str, ...], before: str) -> list[str]:
    """Settings that would change something: switches that are on. What else there is belongs to a switch."""
    return unknown({k: v for k, v in table.items() if v is True}, known, before)


def _subset(file: Path, concept: dict[str, Any], image: dict[str, Any], words: dict[str, Any]) -> Subset:
    folder = folder_of(file, concept.get("path"))
    strategy = concept.get("balancing_strategy", "REPEATS")
    if strategy not in ("REPEATS", "SAMPLES"):
        raise StudioError(f"'{file.name}' has {shown(str(strategy))} as 'balancing_strategy'; write REPEATS or "
                          "SAMPLES.")
    balancing = number(file, concept, "balancing", 1)
    return Subset(
        _tree(folder) if concept.get("include_subdirectories") is True else pictures_in(folder),
        caption=_captions(file, words), repeats=balancing, balance=balancing if strategy == "SAMPLES" else None,
        weight=number(file, concept, "loss_weight", 1, most=1000), flip=image.get("enable_random_flip") is True,
    )


def _captions(file: Path, words: dict[str, Any]) -> Callable[[Path], str]:
    """Where captions come from: a file beside each picture, one file for all, or the pictures' names."""
    source = text(file, words, "prompt_source") or "sample"
    if source == "sample":
        return _beside
    if source == "filename":
        return lambda picture: picture.stem
    if source == "concept":
        prompts = read_captions(file_of(file, words.get("prompt_path")))
        return lambda picture: prompts
    raise StudioError(f"'{file.name}' has {shown(source)} as 'prompt_source'; write sample, concept or filename.")


def _beside(picture: Path) -> str:
    return caption_file(picture, ".txt")


def _tree(folder: Path) -> list[Path]:
    """The pictures of a folder and of those inside it; links are not followed."""
    folders, seen = list[Path](), 0
    for place, inner, files in os.walk(folder):
        inner.sort()
        folders.append(Path(place))
        seen += len(files) + len(inner)
        if seen > _MANY:
            raise StudioError(f"'{folder}' has more than {_MANY} files in the folders inside it; name a smaller one.")
    return pictures_in(*folders)
