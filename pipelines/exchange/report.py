"""What an export wrote, how it read back, and what to know about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from adapters.errors import StudioError


@dataclass(frozen=True)
class FileReport:
    """One file: which keys it was to hold, which of them read back, and how exactly.

    A key is a layer of a LoRA, a text encoder of a word, a tensor of a studio file. The difference is in
    units of the larger of 1 and the key's own size.
    """

    file: Path
    holds: Literal["lora", "words", "studio"]
    matched: tuple[str, ...]
    unmatched: tuple[str, ...] = ()
    max_difference: float = 0.0

    @property
    def keys(self) -> int:
        """How many there should be."""
        return len(self.matched) + len(self.unmatched)

    def check(self, tolerance: float = 0.0) -> FileReport:
        """Itself, or StudioError when the file did not read back as it was written."""
        if self.unmatched or not self.max_difference <= tolerance:
            odd = f", without '{self.unmatched[0][:80]}'" if self.unmatched else ""
            raise StudioError(f"'{self.file.name}' did not read back as it was written ({len(self.matched)} of "
                              f"{self.keys} keys{odd}, difference {self.max_difference:.1e}); please report this.")
        return self


@dataclass(frozen=True)
class ExportReport:
    """All files of an export; `errors` says by how much an approximation is off, by what was measured."""

    format: str
    files: tuple[FileReport, ...]
    notes: tuple[str, ...] = ()
    errors: Mapping[str, float] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The file that was asked for."""
        return self.files[0].file

    @property
    def layers(self) -> int:
        """Keys of all files."""
        return sum(f.keys for f in self.files)

    @property
    def matched(self) -> int:
        """How many of them read back."""
        return sum(len(f.matched) for f in self.files)

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Those that did not."""
        return tuple(key for f in self.files for key in f.unmatched)

    @property
    def max_difference(self) -> float:
        """The largest difference in any file."""
        return max(f.max_difference for f in self.files)

    @property
    def text(self) -> str:
        """All of it in a line."""
        read = f"{self.matched} of {self.layers} keys read back, largest difference {self.max_difference:.1e}"
        return "; ".join([f"{', '.join(str(f.file) for f in self.files)}: {read}", *self.notes])

    def as_dict(self) -> dict[str, Any]:
        """For `export --json`."""
        return {
            "file": str(self.file), "format": self.format, "layers": self.layers, "matched": self.matched,
            "unmatched": list(self.unmatched), "max_difference": self.max_difference,
            "files": [{"file": str(f.file), "holds": f.holds, "keys": f.keys, "matched": list(f.matched),
                       "unmatched": list(f.unmatched), "max_difference": f.max_difference} for f in self.files],
            "notes": list(self.notes), "approximation": dict(self.errors),
        }
