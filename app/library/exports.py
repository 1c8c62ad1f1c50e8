"""Exports for the browser: written and checked first, downloaded afterwards."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.formats import check_format
from app.child import why_it_ended
from app.studio import Studio
from pipelines.image_file import tensors_hash
from pipelines.shipped import REPOSITORY

KEPT = 3600  # seconds
_ID = re.compile(r"[0-9a-f]{28}")


class Exports:
    """Exported files in the data folder's `tmp/exports`, each for an hour."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.folder = studio.home.temporary / "exports"
        self.sweep()

    def make(self, name: str, format: str, rank: int | None = None) -> dict[str, Any]:
        """Write an adapter as `format` and read it back: the report, with the `id` to download it by.

        With `rank`, what only comes near it is made by a process of its own, since that opens the base. Raises
        StudioError when the format does not fit, the file does not read back, or there is no room for it.
        """
        self.sweep()
        entry = self.studio.library.get(name)
        check_format(entry.record, format, approximate=rank is not None)
        id = f"{tensors_hash(entry.path)}{secrets.token_hex(8)}"  # by its beginning, erasing finds it
        folder = self.folder / id
        folder.mkdir(parents=True)
        try:
            out = folder / f"{entry.name}.safetensors"
            with self.studio.room(entry.size):
                report = (self.studio.export(entry.name, format, out).as_dict() if rank is None
                          else self._nearly(entry.name, format, out, rank))
                file = out if len(report["files"]) == 1 else packed(folder, entry.name)
            self.studio.library.get(entry.name)  # raises for one that was deleted or erased meanwhile
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        for part in (report, *report["files"]):
            part["file"] = Path(part["file"]).name
        return {**report, "id": id, "name": entry.name, "download": file.name, "bytes": file.stat().st_size}

    def _nearly(self, name: str, format: str, out: Path, rank: int) -> dict[str, Any]:
        offline = ["--offline"] if self.studio.stays else []
        done = subprocess.run(
            [sys.executable, "-m", "app", "export", name, "--format", format, "--out", str(out), "--approximate",
             str(rank), "--json", "--home", str(self.studio.home.root), *offline],
            capture_output=True, text=True, check=False, cwd=REPOSITORY)
        try:
            answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        except (ValueError, IndexError) as error:
            raise StudioError(why_it_ended("The export", done.returncode, "close other programs and try again")
                              ) from error
        if "error" in answer:
            if "Traceback" in done.stderr:  # a fault, and its sentence says that the studio printed it
                print(done.stderr, file=sys.stderr, flush=True)
            raise StudioError(answer["error"])
        return answer

    def file(self, id: str) -> Path | None:
        """What there is to download: the archive where there are several files; None when it is gone."""
        folder = self.folder / id
        if not _ID.fullmatch(id) or not folder.is_dir():
            return None
        return next(iter([*folder.glob("*.zip"), *folder.glob("*.safetensors")]), None)

    def sweep(self) -> None:
        """Take away what is older than an hour."""
        for folder in self.folder.glob("*"):
            if time.time() - folder.stat().st_mtime > KEPT:
                shutil.rmtree(folder, ignore_errors=True)


def packed(folder: Path, name: str) -> Path:
    """Everything of an export of several files, sidecars too, as one file."""
    path = folder / f"{name}.zip"
    files = sorted(folder.iterdir())
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, file.name)
    return path
