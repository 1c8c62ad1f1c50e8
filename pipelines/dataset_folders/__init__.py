"""Pictures to learn from, as people have them: plain folders, and the datasets of other trainers.

    read_dataset(path) -> Dataset        a folder, one with metadata.jsonl, kohya's folders of folders, or a
                                         configuration, told by content

A reader is a module here that makes `Subset`s and hands them to `assemble`. Imports no torch.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from pipelines.dataset_folders import ai_toolkit, kohya, lines, onetrainer
from pipelines.dataset_folders.model import TRIGGER, Dataset, Sample, Subset, assemble, shown
from pipelines.dataset_folders.reading import CONFIGS, read_config, tables
from pipelines.masks import find_masks
from pipelines.references import list_folder

__all__ = ["TRIGGER", "Dataset", "Sample", "read_dataset"]


def read_dataset(path: Path, *, masks: Path | None = None, trigger: str = "") -> Dataset:
    """The pictures that `path` holds or names, with their masks, captions, repeats and weights.

    A folder of pictures is those pictures, with the captions in `.txt` files of their names, the method's where there
    is none (`masks` may be a folder of its own); with `metadata.jsonl`, those that it names, with its captions. Else it
    is kohya's folder of '<repeats>_<trigger> <class>' folders, kohya's dataset.toml, OneTrainer's concepts.json or
    ai-toolkit's job.
    `trigger` is the word in captions where the source names none. Raises StudioError for anything else.
    """
    if path.is_file():
        dataset = _read_file(path, trigger)
    elif (path / lines.FILE).is_file():
        dataset = lines.read_lines(path, trigger)
    else:
        pictures = list_folder(path)
        folders = kohya.repeats_folders(path)
        if pictures or not folders:
            return _plain(pictures, masks, [f"the folder {shown(f.name)}" for f in folders], trigger)
        dataset = kohya.read_folders(path, trigger)
    if masks is not None:
        raise StudioError(f"'{path}' says itself where its masks are; leave out --masks, it is for a plain folder.")
    return dataset


def _plain(pictures: list[Path], masks: Path | None, unused: list[str], trigger: str) -> Dataset:
    found = Dataset.of(pictures, find_masks(pictures, masks))
    told = assemble([Subset(pictures, caption=kohya.caption)], unused, trigger=trigger)
    captions = [s.caption for s in told.samples]
    samples = tuple(replace(s, caption=c) for s, c in zip(found.samples, captions, strict=True))
    return replace(found, samples=samples, notices=told.notices)


def _read_file(file: Path, trigger: str) -> Dataset:
    if file.suffix.lower() not in CONFIGS:
        raise StudioError(f"'{file}' is no dataset; give a folder of pictures, kohya's dataset.toml, OneTrainer's "
                          "concepts.json or ai-toolkit's YAML.")
    config: Any = read_config(file)
    if isinstance(config, dict):
        if "datasets" in config:
            return kohya.read_toml(file, config, trigger)
        if isinstance(config.get("config"), dict):
            return ai_toolkit.read_job(file, config, trigger)
        if config.get("concepts"):
            return onetrainer.read_concepts(file, tables(file, config["concepts"], "concepts"), trigger)
        if isinstance(other := config.get("concept_file_name"), str):
            raise StudioError(f"'{file.name}' keeps its concepts in {shown(other)}; give that file.")
    elif isinstance(config, list):
        return onetrainer.read_concepts(file, tables(file, config, "concepts"), trigger)
    raise StudioError(f"'{file.name}' has neither kohya's datasets nor OneTrainer's concepts nor ai-toolkit's config; "
                      "give the file that names the pictures' folders.")
