"""The history: every picture made here. The files are the truth, and say themselves how they were made."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import TypeAdapter

from adapters.errors import StudioError
from adapters.files import move, write_atomic, write_text
from app.errors import Missing
from app.home import Home
from pipelines.image_file import Made, read_settings

NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}-(?:\d{1,3}|sheet)\.png")
PAGE = 60
_FILES = TypeAdapter(set[str])
_THUMBNAIL = 320
_SEED = re.compile(r"\bseed[ :]+(\d+)")


@dataclass(frozen=True)
class Shown:
    """A picture of the history; `made` is None where it does not say how it was made."""

    file: str
    made: Made | None

    @property
    def text(self) -> str:
        """All that a search looks through, in lower case."""
        if self.made is None:
            return self.file
        request = self.made.request
        words = [request.get("prompt", ""), request.get("negative_prompt", ""), request.get("sampler", ""),
                 self.made.base, *(a[0] for a in self.made.adapters), f"seed:{request.get('seed', '')};", self.file]
        return " ".join(map(str, words)).lower()


def _newest_first(path: Path) -> tuple[str, bool, int]:
    stamp, _, number = path.stem.rpartition("-")
    return stamp, number == "sheet", -int(number) if number.isdecimal() else 0


class Gallery:
    """Pictures of a data folder with favourites, and a trash that gives back."""

    def __init__(self, home: Home) -> None:
        self.folder, self.trash = home.images, home.trash / "images"
        self._thumbnails = home.cache / "thumbnails"
        self._known: dict[tuple[str, int], Shown] = {}
        self._lock = threading.Lock()

    def path(self, file: str) -> Path:
        """Where a picture is; StudioError when there is none of that name."""
        path = self.folder / file
        if not NAME.fullmatch(file) or not path.is_file():
            raise Missing(f"There is no picture '{file[:60]}' any more; look at the history again.")
        return path

    def find(self, words: str = "", *, favourites: bool = False, after: str = "",
             limit: int = PAGE) -> tuple[list[dict[str, Any]], bool]:
        """Pictures in which every word is found, newest first, those behind the file `after`; and whether more are.

        Words are looked for in prompts, adapters, base, sampler and 'seed N'.
        """
        wanted, liked = _SEED.sub(r"seed:\1;", words.lower()).split(), self.favourites()
        files = sorted((p for p in self.folder.iterdir() if NAME.fullmatch(p.name)), key=_newest_first, reverse=True)
        names = [p.name for p in files]
        start = names.index(after) + 1 if after in names else 0
        found: list[dict[str, Any]] = []
        for path in files[start:]:
            if favourites and path.name not in liked:
                continue
            try:
                shown = self._shown(path)
            except FileNotFoundError:
                continue  # deleted meanwhile
            if all(w in shown.text for w in wanted):
                if len(found) == limit:
                    return found, True
                found.append(self._told(shown, liked))
        return found, False

    def favourites(self) -> set[str]:
        """The files that are liked."""
        file = self.folder / "favourites.json"
        if not file.exists():
            return set()
        try:
            return _FILES.validate_json(file.read_bytes())
        except ValueError as error:
            raise StudioError(f"The favourites in '{file}' cannot be read; mend that file or take it away.") from error

    def favour(self, file: str, liked: bool) -> dict[str, Any]:
        """Like a picture, or not any more."""
        path = self.path(file)
        with self._lock:
            favourites = self.favourites() | {file} if liked else self.favourites() - {file}
            write_text(self.folder / "favourites.json", json.dumps(sorted(favourites)))
        return self._told(self._shown(path), favourites)

    def forget(self, file: str) -> None:
        """Take away what is kept of a picture that was erased: its small one, and that it was liked."""
        (self._thumbnails / f"{file}.jpg").unlink(missing_ok=True)
        with self._lock, contextlib.suppress(StudioError):  # a damaged list likes nothing
            if file in (liked := self.favourites()):
                write_text(self.folder / "favourites.json", json.dumps(sorted(liked - {file})))

    def delete(self, file: str) -> None:
        """Put a picture into the trash."""
        path = self.path(file)
        self.trash.mkdir(parents=True, exist_ok=True)
        move(path, self.trash / file)

    def restore(self, file: str) -> dict[str, Any]:
        """Take a picture out of the trash."""
        if not NAME.fullmatch(file) or not (self.trash / file).is_file():
            raise Missing(f"There is no picture '{file[:60]}' in the trash; it may be back already.")
        move(self.trash / file, self.folder / file)
        return self._told(self._shown(self.folder / file), self.favourites())

    def thumbnail(self, file: str) -> Path:
        """A small JPEG of a picture, made when it is first asked for."""
        path, small = self.path(file), self._thumbnails / f"{file}.jpg"
        if not small.is_file():
            with Image.open(path) as image:
                image.thumbnail((_THUMBNAIL, _THUMBNAIL))
                shown = image.convert("RGB")
            write_atomic(small, lambda p: shown.save(p, "JPEG", quality=88))
        return small

    def _shown(self, path: Path) -> Shown:
        key = (path.name, path.stat().st_mtime_ns)
        if key not in self._known:
            try:
                made = read_settings(path)
            except StudioError:
                made = None  # shown all the same: the file is there
            self._known[key] = Shown(path.name, made)
        return self._known[key]

    def _told(self, shown: Shown, liked: set[str]) -> dict[str, Any]:
        return {"file": shown.file, "favourite": shown.file in liked, "sheet": shown.file.endswith("-sheet.png"),
                "made": shown.made.model_dump() if shown.made else None}
