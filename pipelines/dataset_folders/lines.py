"""A folder of pictures with `metadata.jsonl`, as diffusers' and the hub's datasets have it. Imports no torch.

    {"file_name": "0.png", "text": "a photo of zok cat on a sofa"}
"""

from __future__ import annotations

from pathlib import Path

from pipelines.dataset_folders.model import Dataset, Subset, assemble
from pipelines.dataset_folders.reading import picture_of, read_config, tables, text, unknown
from pipelines.references import list_folder

FILE = "metadata.jsonl"


def read_lines(folder: Path, trigger: str) -> Dataset:
    """The pictures that the file's lines name, each with its caption; several lines of one picture take turns."""
    file = folder / FILE
    captions: dict[Path, list[str]] = {}
    unused: list[str] = []
    for line in tables(file, read_config(file), "lines"):
        captions.setdefault(picture_of(file, line.get("file_name")), []).append(text(file, line, "text"))
        unused += unknown(line, ("file_name", "text"))
    if without := len({p.resolve() for p in list_folder(folder)} - {p.resolve() for p in captions}):
        unused.append(f"pictures without a line in {FILE} ({without})")
    return assemble([Subset(list(captions), caption=lambda picture: "\n".join(captions[picture]))], unused,
                    trigger=trigger)
