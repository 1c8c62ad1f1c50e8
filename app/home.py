"""The folder that holds everything a person makes."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import StudioError


@dataclass(frozen=True)
class Home:
    """The data folder and the places in it."""

    root: Path

    @classmethod
    def open(cls, given: str | None = None) -> Home:
        """`given`, else STUDIO_HOME, else ~/semblance; made when missing.

        Raises StudioError when it cannot be written.
        """
        root = Path(given or os.environ.get("STUDIO_HOME") or Path.home() / "semblance")
        home = cls(root.expanduser().resolve())
        try:
            for folder in (home.adapters, home.runs, home.images, home.temporary):
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=home.root):
                pass
        except OSError as error:
            raise StudioError(
                f"The data folder '{home.root}' cannot be written ({error.strerror}); give another "
                "with --home or STUDIO_HOME."
            ) from error
        return home

    @property
    def adapters(self) -> Path:
        """The library: one .safetensors file an adapter."""
        return self.root / "adapters"

    @property
    def drafts(self) -> Path:
        """One folder a set of pictures that is being put together."""
        return self.root / "drafts"

    @property
    def trash(self) -> Path:
        """What was deleted and can be brought back."""
        return self.root / "trash"

    @property
    def runs(self) -> Path:
        """One folder a training run."""
        return self.root / "runs"

    @property
    def images(self) -> Path:
        """Pictures made in the studio."""
        return self.root / "images"

    @property
    def temporary(self) -> Path:
        """Uploads and downloads on their way."""
        return self.root / "tmp"

    @property
    def cache(self) -> Path:
        """What can be made again: class images, text statistics."""
        return self.root / "cache"

    @property
    def bases(self) -> Path:
        """Single-file bases that were uploaded."""
        return self.root / "bases"

    @property
    def base_list(self) -> Path:
        """Which bases were added."""
        return self.root / "bases.json"

    @property
    def consents(self) -> Path:
        """Statements of consent."""
        return self.root / "consents"

    @property
    def preferences(self) -> Path:
        """What was set for the whole studio."""
        return self.root / "settings.json"

    @property
    def accounts(self) -> Path:
        """Who may log in, where several people share the studio."""
        return self.root / "accounts.db"

    @property
    def people(self) -> Path:
        """A data folder for each account."""
        return self.root / "people"

    @property
    def device_lock(self) -> Path:
        """Held by what has the device, where several people share it."""
        return self.root / "device.lock"

    @property
    def format(self) -> Path:
        """The number of this layout (`app/system/migrations.py`)."""
        return self.root / "format"

    @property
    def backups(self) -> Path:
        """What migrations and repairs were about to change, as it was."""
        return self.root / "backups"

    @property
    def database(self) -> Path:
        """The index of jobs."""
        return self.root / "studio.db"
