"""Styles: words for a prompt and a negative prompt under a name, as A1111 has them. A few are shipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from adapters.errors import StudioError
from adapters.files import write_text
from adapters.prompt_syntax import take_loras
from pipelines.shipped import STYLES

MOST = 200


class Style(BaseModel):
    """Words for a prompt under a name."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
    """What it is chosen by."""
    prompt: Annotated[str, StringConstraints(max_length=2000)] = ""
    """Takes the place of the prompt where it has `{prompt}`, and otherwise follows it."""
    negative_prompt: Annotated[str, StringConstraints(max_length=2000)] = ""
    """Follows the negative prompt."""


_STYLES = TypeAdapter(list[Style])


class Styles:
    """The styles of a data folder, in one file; until one is kept or deleted, those that are shipped."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self) -> list[Style]:
        """By name."""
        file = self.file if self.file.exists() else STYLES
        try:
            return _STYLES.validate_json(file.read_bytes())
        except ValueError as error:
            raise StudioError(f"The styles in '{file}' cannot be read; mend that file or take it away.") from error

    def keep(self, fields: dict[str, str]) -> list[Style]:
        """Keep a style, in the place of one of that name; returns all."""
        try:
            style = Style.model_validate(fields)
        except ValidationError as error:
            raise StudioError("A style has a name of 1 to 60 letters and up to 2,000 letters of prompt; shorten "
                              "what is too long.") from error
        others = [s for s in self.all() if s.name != style.name]
        if len(others) >= MOST:
            raise StudioError(f"There are {MOST} styles, and no room for more; delete some.")
        return self._save([*others, style])

    def delete(self, name: str) -> list[Style]:
        """Forget a style; returns the others."""
        return self._save([s for s in self.all() if s.name != name])

    def forget(self, meant: Callable[[str], bool]) -> list[str]:
        """Forget the styles that have the name of an adapter that is meant, or its tag in their words; their names."""
        if not self.file.exists():  # those that are shipped are nobody's
            return []
        every = self.all()
        gone = [s for s in every if any(map(meant, (s.name, *_tags(s.prompt), *_tags(s.negative_prompt))))]
        if gone:
            self._save([s for s in every if s not in gone])
        return [s.name for s in gone]

    def _save(self, styles: list[Style]) -> list[Style]:
        ordered = sorted(styles, key=lambda s: s.name.lower())
        write_text(self.file, _STYLES.dump_json(ordered, indent=1).decode())
        return ordered


def _tags(words: str) -> list[str]:
    try:
        return [name for name, _ in take_loras(words)[1]]
    except StudioError:  # no weight that can be read: it is painted with by nobody
        return []
