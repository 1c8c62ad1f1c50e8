"""Adapter files of this and other programs, taken into the library."""

from __future__ import annotations

from pathlib import Path

from adapters.naming import MAX_LENGTH, check_name
from app.library.library import Library
from app.library.library_entry import Entry


def import_into(library: Library, path: Path, name: str | None = None) -> Entry:
    """Keep what a file holds as an adapter of the studio, under its own name or the first free one."""
    from adapters.studio_file import save
    from pipelines.exchange import import_file

    stem = "".join(c if (c.isalnum() and c.isascii()) or c in "-_" else "-" for c in path.stem)
    adapter, record = import_file(path, check_name(name or stem.strip("-_")[:MAX_LENGTH] or "imported"))
    with library.new_file(check_name(name or record.name)) as target:
        save(target, adapter, record.model_copy(update={"name": target.stem}))
        return library.complete(target)
