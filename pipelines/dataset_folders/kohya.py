"""kohya's sd-scripts: folders named '<repeats>_<trigger> <class>', and dataset.toml. Imports no torch."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from pipelines.dataset_folders.model import Dataset, Subset, assemble, pictures_in, shown
from pipelines.dataset_folders.reading import (
    caption_file,
    first_line,
    folder_of,
    number,
    suffix,
    tables,
    text,
    unknown,
)

_NAME = re.compile(r"(?P<repeats>\d{1,5})_(?P<words>.+)")
_CAPTIONS = (".txt", ".caption")
_INHERITED = ("num_repeats", "caption_extension", "flip_aug")
_SUBSET = (*_INHERITED, "image_dir", "class_tokens", "is_reg", "conditioning_data_dir")


def caption(picture: Path, endings: tuple[str, ...] = _CAPTIONS) -> str:
    """The first line alone, as sd-scripts reads it; '' where there is no such file."""
    return first_line(caption_file(picture, *endings))


def repeats_folders(folder: Path) -> list[Path]:
    """Folders inside that are named as kohya's are."""
    return sorted(f for f in folder.iterdir() if f.is_dir() and _NAME.fullmatch(f.name))


def read_folders(folder: Path, trigger: str) -> Dataset:
    """Every '<repeats>_<trigger> <class>' folder inside `folder`, with `.txt` or `.caption` captions."""
    subsets, unused = list[Subset](), list[str]()
    for inner in sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith(".")):
        named = _NAME.fullmatch(inner.name)
        if named is None or int(named["repeats"]) == 0:
            unused.append(f"the folder {shown(inner.name)}")
            continue
        subsets.append(Subset(pictures_in(inner), " ".join(named["words"].split()), repeats=float(named["repeats"]),
                              caption=caption))
    return assemble(subsets, unused, trigger=trigger)


def read_toml(file: Path, config: dict[str, Any], trigger: str) -> Dataset:
    """A dataset configuration: [general], [[datasets]] and [[datasets.subsets]], each over the one before."""
    general = config.get("general", {})
    if not isinstance(general, dict):
        raise StudioError(f"'{file.name}' has no table as 'general'; check it in the program that wrote it.")
    unused = unknown(config, ("general", "datasets")) + unknown(general, _INHERITED)
    subsets = []
    for dataset in tables(file, config.get("datasets"), "datasets"):
        unused += unknown(dataset, (*_INHERITED, "subsets"))
        shared = {k: v for k, v in (general | dataset).items() if k in _INHERITED}
        for table in tables(file, dataset.get("subsets"), "subsets"):
            unused += unknown(table, _SUBSET)
            if table.get("num_repeats", shared.get("num_repeats", 1)) == 0:
                unused.append(f"the folder {shown(str(table.get('image_dir')))}")
                continue
            subsets.append(_subset(file, shared | table))
    return assemble(subsets, unused, trigger=trigger)


def _subset(file: Path, table: dict[str, Any]) -> Subset:
    ending = suffix(file, table, "caption_extension")
    masks = table.get("conditioning_data_dir")  # sd-scripts' --masked_loss takes its masks from there
    return Subset(
        pictures_in(folder_of(file, table.get("image_dir"))), text(file, table, "class_tokens"),
        functools.partial(caption, endings=(ending,) if ending else _CAPTIONS),
        folder_of(file, masks) if masks is not None else None,
        number(file, table, "num_repeats", 1), regular=table.get("is_reg") is True, flip=table.get("flip_aug") is True,
    )
