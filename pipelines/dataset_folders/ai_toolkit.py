"""ai-toolkit's jobs: YAML or JSON with config.process[].datasets[]. Imports no torch."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from pipelines.dataset_folders.model import Dataset, Subset, assemble, pictures_in
from pipelines.dataset_folders.reading import caption_file, folder_of, number, suffix, tables, text, unknown

_DATASET = ("folder_path", "dataset_path", "mask_path", "caption_ext", "default_caption", "num_repeats", "trigger_word",
            "is_reg", "flip_x", "loss_multiplier")


def _caption(picture: Path, ending: str, default: str) -> str:
    """The whole file in one line without empty parts, as ai-toolkit reads it."""
    parts = re.split(r"[,\r\n]", caption_file(picture, ending))
    return ", ".join(filter(None, map(str.strip, parts))) or default


def read_job(file: Path, job: dict[str, Any], trigger: str) -> Dataset:
    """The datasets of a job's processes, with captions whose '[trigger]' is the concept."""
    config = job["config"]
    unused, subsets = unknown(job, ("job", "config", "meta")), list[Subset]()
    unused += unknown(config, ("name", "process"), "config.")
    for process in tables(file, config.get("process"), "process"):
        unused += unknown(process, ("type", "datasets", "trigger_word"), "process.")
        word = text(file, process, "trigger_word")
        for table in tables(file, process.get("datasets", []), "datasets"):
            unused += unknown(table, _DATASET)
            subsets.append(_subset(file, table, word))
    if not subsets:
        raise StudioError(f"'{file.name}' names no datasets; write them under config, process, datasets.")
    return assemble(subsets, unused, trigger=trigger)


def _subset(file: Path, table: dict[str, Any], word: str) -> Subset:
    if table.get("invert_mask"):
        raise StudioError(f"'{file.name}' asks for inverted masks, which are not read; paint them white where the "
                          "thing is, and take 'invert_mask' out.")
    masks = table.get("mask_path")
    return Subset(
        pictures_in(folder_of(file, table.get("folder_path") or table.get("dataset_path"))),
        text(file, table, "trigger_word") or word,
        functools.partial(_caption, ending=suffix(file, table, "caption_ext") or ".txt",
                          default=text(file, table, "default_caption")),
        folder_of(file, masks) if masks else None,
        number(file, table, "num_repeats", 1), weight=number(file, table, "loss_multiplier", 1, most=1000),
        regular=table.get("is_reg") is True, flip=table.get("flip_x") is True,
    )
