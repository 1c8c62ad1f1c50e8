"""Reading what strangers wrote: configurations, folders, numbers and captions, each checked. Imports no torch."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from adapters.errors import StudioError
from pipelines.dataset_folders.model import plain, shown
from pipelines.references import SUFFIXES

CONFIGS = (".toml", ".json", ".yaml", ".yml")
_MAX_BYTES = 1 << 20
_MAX_CAPTION = 1 << 16


class _Loader(yaml.SafeLoader):
    """Plain data alone; merge keys, which can grow without bound, are not followed."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave '<<' where it stands, where it has no meaning."""


def _yaml(text: str) -> Any:
    return yaml.load(text, _Loader)  # a SafeLoader


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


_PARSERS: dict[str, Callable[[str], Any]] = {".toml": tomllib.loads, ".json": json.loads, ".jsonl": _lines,
                                             ".yaml": _yaml, ".yml": _yaml}


def read_config(file: Path) -> Any:
    """A TOML, JSON, JSON-lines or YAML file as plain data. Raises StudioError when it is no sensible one."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise StudioError(f"'{file}' has more than a megabyte, too much for a dataset's settings; check the path.")
        return _PARSERS[file.suffix.lower()](file.read_text("utf-8-sig"))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise StudioError(f"'{file}' is not readable as {file.suffix[1:].upper()} ({plain(str(error))}); check it in "
                          "the program that wrote it.") from error
    except OSError as error:
        raise StudioError(f"'{file}' could not be opened ({error.strerror}); check the path.") from error


def folder_of(config: Path, named: object) -> Path:
    """The folder that a configuration names: an absolute one, or one inside the configuration's own folder.

    Raises StudioError when it is not there, or leads out by '..' or a link.
    """
    path = _inside(config, named)
    if not path.is_dir():
        raise StudioError(f"'{config.name}' names the folder {shown(str(named))}, which is not there; correct the path "
                          "in it (relative ones begin where the file is).")
    return path


def file_of(config: Path, named: object) -> Path:
    """The text file (`.txt`) that a configuration names, under the same conditions."""
    path = _inside(config, named)
    if path.suffix.lower() != ".txt" or not path.is_file():
        raise StudioError(f"'{config.name}' names {shown(str(named))} as a file of captions, and there is no such .txt "
                          "file; correct the path in it.")
    return path


def picture_of(config: Path, named: object) -> Path:
    """The picture that a configuration names, under the same conditions."""
    path = _inside(config, named)
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        raise StudioError(f"'{config.name}' names {shown(str(named))} as a picture, and there is no such PNG, JPEG, "
                          "WebP or BMP file; correct the path in it.")
    return path


def _inside(config: Path, named: object) -> Path:
    if not isinstance(named, str) or not named.strip() or "\0" in named:
        raise StudioError(f"'{config.name}' names {shown(str(named))} where the path of a folder or file belongs; "
                          "write one there.")
    path, root = Path(named), config.resolve().parent
    if path.is_absolute():
        return path
    if not (root / path).resolve().is_relative_to(root):
        raise StudioError(f"'{config.name}' names {shown(named)}, which leads out of the folder that it is in; give an "
                          "absolute path if that is meant.")
    return root / path


def number(config: Path, table: Mapping[str, Any], key: str, default: float, *, most: float = 10_000) -> float:
    """A number above 0, at most `most`. Raises StudioError for anything else."""
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:  # nor NaN
        raise StudioError(f"'{config.name}' has {shown(str(value))} as '{key}'; give a number above 0, {most:g} at "
                          "most.")
    return float(value)


def text(config: Path, table: Mapping[str, Any], key: str) -> str:
    """A line of text, empty when it is not there or null."""
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise StudioError(f"'{config.name}' has {shown(str(value))} as '{key}'; write a text there.")
    return " ".join((value or "").split())


def suffix(config: Path, table: Mapping[str, Any], key: str) -> str:
    """The ending of caption files with its point, empty when it is not given."""
    value = text(config, table, key)
    if value and not re.fullmatch(r"\.?\w{1,16}", value):
        raise StudioError(f"'{config.name}' has {shown(value)} as '{key}'; write an ending such as '.txt'.")
    return f".{value.removeprefix('.')}" if value else ""


def tables(config: Path, value: object, what: str) -> list[dict[str, Any]]:
    """A list of tables. Raises StudioError for anything else."""
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
        raise StudioError(f"'{config.name}' has no list of tables as '{what}'; check it in the program that wrote it.")
    return value


def unknown(table: Mapping[Any, Any], known: Iterable[str], before: str = "") -> list[str]:
    """Names of a table's settings that are not among `known`."""
    names = set(known)
    return [f"{before}{key}" for key in table if key not in names]


def caption_file(picture: Path, *suffixes: str) -> str:
    """What the first of the picture's caption files says, empty when it has none.

    Raises StudioError for a file that is too long, no text, or a link to somewhere else.
    """
    for ending in suffixes:
        file = picture.with_suffix(ending)
        if file.is_file():
            if file.resolve().parent != picture.parent.resolve():
                raise StudioError(f"The caption '{file.name}' is a link to another folder; put a copy in its place.")
            return read_captions(file)
    return ""


def read_captions(file: Path) -> str:
    """A text file of captions. Raises StudioError when it is too long or no text."""
    try:
        if file.stat().st_size > _MAX_CAPTION:
            raise StudioError(f"The caption '{file.name}' has more than {_MAX_CAPTION >> 10} KB; shorten it.")
        return file.read_text("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise StudioError(f"The caption '{file.name}' is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        raise StudioError(f"'{file}' could not be opened ({error.strerror}); check the path.") from error


def first_line(text: str) -> str:
    """The first line that is not empty."""
    return next(filter(None, map(str.strip, text.splitlines())), "")
