"""What a person set for the whole studio, kept in the data folder."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.errors import StudioError
from adapters.files import write_text


class Preferences(BaseModel):
    """All switches; a file without one has its default."""

    model_config = ConfigDict(extra="ignore", strict=True)

    offline: bool = False
    """The model hub is asked for nothing."""
    quota_disk_gb: float = 20.0
    """What an account may keep, unless it has a quota of its own."""
    quota_queue: int = 20
    """How much an account may have waiting and running at a time, unless it has a quota of its own."""

    @classmethod
    def load(cls, path: Path) -> Preferences:
        """Read them; defaults where there is no file. Raises StudioError when it is damaged."""
        try:
            return cls.model_validate_json(path.read_text("utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, ValidationError) as error:
            raise StudioError(f"The settings in '{path}' are damaged; mend the file or take it away.") from error

    def save(self, path: Path) -> None:
        """Write them atomically."""
        write_text(path, json.dumps(self.model_dump(), indent=1))
