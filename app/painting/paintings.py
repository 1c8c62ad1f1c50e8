"""Paintings that are under way: a sheet of pictures each, one after the other, with previews and cancel.

They live in this process; what they have made are files in the home's `images` folder, there from the moment that
each is done.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.prompt_syntax import take_loras
from app.errors import Missing, QueueQuota
from app.home import Home
from app.jobs.order import as_turn
from app.library import credentials
from app.painting.grid import Sheet
from app.painting.painter import Cancelled, Watch, keep_only_with
from app.painting.turns import Turns
from pipelines.contact_sheet import labelled
from pipelines.image_file import save_sheet

KEPT = 50
ACTIVE = ("waiting", "painting")
NAMED = 60  # letters of the prompt that a painting is called by in the queue
_OLD = 24 * 3600.0  # seconds that a picture to paint on is kept
_PATIENCE = 20.0  # seconds: a step on a slow machine
Generate = Callable[..., list[Path]]
Edit = tuple[Path, Path | None]


@dataclass(eq=False)
class Painting:
    """A sheet and how far it has come; `images` are its cells' files by row and column, '' where there is none yet."""

    id: str
    sheet: Sheet
    images: list[list[str]]
    compared: bool
    edit: Edit | None = None
    regions: dict[str, Path] = field(default_factory=dict)
    state: str = "waiting"
    message: str = ""
    made: str = ""
    """The file that shows all in one, where there is one."""
    step: tuple[int, int] = (0, 0)
    """Of the picture that is painted now."""
    unseen: bool = False
    """No picture is shown before it is finished: its base has a safety checker, which must see it first."""
    asked: float = field(default_factory=time.time)

    def told(self) -> dict[str, Any]:
        """For the page."""
        return {"id": self.id, "state": self.state, "message": self.message, "columns": self.sheet.columns,
                "rows": self.sheet.rows, "images": self.images, "sheet": self.made, "step": self.step, **self._count(),
                "compared": self.compared, "unseen": self.unseen}

    def entry(self) -> dict[str, Any]:
        """For the queue: what it is called there, and how far it is."""
        prompt = str(self.sheet.cells[0][0].request["prompt"]) if self.sheet.cells and self.sheet.cells[0] else ""
        return {"id": self.id, "name": prompt[:NAMED].strip(), "state": self.state, **self._count()}

    def adapters(self) -> set[str]:
        """The names of all that it is painted with, those of tags in its prompts too."""
        cells = [c for row in self.sheet.cells for c in row]
        tags = [take_loras(str(c.request["prompt"]))[1] for c in cells]
        return {name for c in cells for name, *_ in c.adapters} | {name for found in tags for name, _ in found}

    def _count(self) -> dict[str, int]:
        return {"done": sum(bool(i) for row in self.images for i in row),
                "total": len(self.sheet.rows) * len(self.sheet.columns)}


class Paintings:
    """All of them, the oldest first; one is painted at a time."""

    def __init__(self, home: Home, generate: Generate, names: Callable[[int], list[Path]],
                 most: Callable[[], int] | None = None) -> None:
        """`most` says how many may wait and be painted at a time; without it there is no limit."""
        self._home, self._folder = home, home.temporary / "paintings"
        self._generate, self._names = generate, names
        self._all: dict[str, Painting] = {}
        self._turns = Turns(self._paint, "paintings")
        self._most, self._lock, self._direct = most, threading.Lock(), 0

    def start(self, sheet: Sheet, *, compared: bool = False, source: str = "",
              regions: Mapping[str, str] | None = None) -> Painting:
        """Paint a sheet when those before it are done; with `source`, each cell from that picture, and with
        `regions`, adapters by name in their masks alone.

        `compared` asks for one more file that shows all of it, labelled.
        """
        painting = Painting(secrets.token_hex(6), sheet, [["" for _ in row] for row in sheet.cells], compared,
                            self.source(source) if source else None,
                            {name: self.source(mask)[0] for name, mask in (regions or {}).items()})
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._check_room()
            self._all[painting.id] = painting
        for id in [p.id for p in self._all.values() if p.state not in ACTIVE][:max(len(self._all) - KEPT, 0)]:
            del self._all[id]
        self._turns.add(painting)
        return painting

    def _check_room(self) -> None:
        if self._most is None:
            return
        most, active = self._most(), sum(p.state in ACTIVE for p in self._all.values()) + self._direct
        if active >= most:
            raise QueueQuota(f"{most} paintings of yours may wait at a time and {active} do; wait for one to end or "
                             "cancel one, then send this again.")

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count a picture that is painted while its asker waits. Raises QueueQuota when there are too many."""
        with self._lock:
            self._check_room()
            self._direct += 1
        try:
            yield
        finally:
            with self._lock:
                self._direct -= 1

    def all(self) -> list[Painting]:
        """Every painting that is still known, the newest last."""
        return list(self._all.values())

    def get(self, id: str) -> Painting:
        """One; StudioError when it is not known any more."""
        if id not in self._all:
            raise Missing("That painting is not known any more; what it made is in the history.")
        return self._all[id]

    def cancel(self, id: str) -> Painting:
        """Take it out of the line, or end it after the step that is running; what is done stays."""
        painting = self.get(id)
        if self._turns.take_out(painting):
            painting.state = "cancelled"
        elif painting.state in ACTIVE:
            self._stop_file(id).touch()
        return painting

    def call_off(self, concerned: Callable[[Painting], bool], patience: float = _PATIENCE) -> None:
        """Cancel all that are `concerned`, and wait for the one under way to end: its step, or `patience` seconds."""
        called_off = [p for p in self.all() if p.state in ACTIVE and concerned(p)]
        for painting in called_off:
            self.cancel(painting.id)
        until = time.monotonic() + patience
        while any(p.state in ACTIVE for p in called_off) and time.monotonic() < until:
            time.sleep(0.05)

    def move(self, id: str, where: str) -> Painting:
        """Give a waiting one another turn: up, down, first or last."""
        painting = self.get(id)
        if not self._turns.move(painting, as_turn(where)):
            raise StudioError("That painting does not wait any more; only what waits has a turn to change.")
        return painting

    def queued(self) -> list[dict[str, Any]]:
        """What is painted now and what waits for it, in that order, for the queue."""
        return [p.entry() for p in [*(p for p in self.all() if p.state == "painting"), *self._turns.waiting()]]

    def preview(self, id: str) -> Path:
        """The picture that is painted now, as far as it has come; the file may not be there."""
        return self._folder / f"{self.get(id).id}.png"

    def take_source(self, picture: Path, mask: Path | None) -> str:
        """Keep a checked picture, and its mask, to paint on; returns what to call it."""
        folder = self._folder.parent / "sources"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if time.time() - old.stat().st_mtime > _OLD:
                old.unlink(missing_ok=True)
        id = secrets.token_hex(6)
        for file, name in ((picture, f"{id}.png"), (mask, f"{id}-mask.png")):
            if file:
                shutil.copyfile(file, folder / name)
        return id

    def source(self, id: str) -> Edit:
        """A picture that is kept to paint on, and its mask if it has one. Raises Missing when it is gone."""
        picture = self._folder.parent / "sources" / f"{id}.png"
        if not id.isalnum() or not picture.is_file():
            raise Missing("The picture to paint on is not here any more; drop it again.")
        mask = picture.with_name(f"{id}-mask.png")
        return picture, mask if mask.is_file() else None

    def _stop_file(self, id: str) -> Path:
        return self._folder / f"{id}.stop"

    def _paint(self, painting: Painting) -> None:
        def progress(done: int, total: int) -> None:
            painting.step = (done, total)

        def unseen() -> None:
            painting.unseen = True

        watch = Watch(progress, self._folder / f"{painting.id}.png", self._stop_file(painting.id), unseen)
        columns = len(painting.sheet.columns)
        try:
            files = self._names(columns * len(painting.sheet.rows))
            painting.state = "painting"
            for n, cell in enumerate(c for row in painting.sheet.cells for c in row):
                watch.check()
                painting.step = (0, 0)
                self._generate(cell.request, base=cell.base, adapters=cell.adapters, files=[files[n]], watch=watch,
                               edit=painting.edit, regions={name: mask for name, mask in painting.regions.items()
                                                            if name in [a[0] for a in cell.adapters]})
                painting.images[n // columns][n % columns] = files[n].name
            if painting.compared and len(files) > 1:
                painting.made = self._one_sheet(painting.sheet, files)
            painting.state = "done"
        except Cancelled:
            painting.state = "cancelled"
        except StudioError as error:
            painting.state, painting.message = "failed", str(error)
        except OSError as error:
            painting.state = "failed"
            painting.message = f"The system refused something ({error.strerror}); check disk and rights."
        finally:
            if painting.state in ACTIVE:
                painting.state, painting.message = "failed", "Painting ended unexpectedly; try again."
            for file in (self._stop_file(painting.id), self._folder / f"{painting.id}.png"):
                file.unlink(missing_ok=True)

    def _one_sheet(self, sheet: Sheet, files: list[Path]) -> str:
        """All pictures of a sheet as one labelled PNG with what made them, signed as each is; returns the file's name.
        """
        path = files[0].with_name(f"{files[0].stem.rpartition('-')[0]}-sheet.png")
        save_sheet(labelled(files, sheet.columns, sheet.rows), path, files)
        credentials.sign(path, self._home.root)
        keep_only_with(files, [path])
        return path.name

    def close(self) -> None:
        """Take nothing more on, and end what is running after its step."""
        for painting in self.all():
            self.cancel(painting.id)
        self._turns.close()
