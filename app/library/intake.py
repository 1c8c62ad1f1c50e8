"""Files that come in over HTTP: streamed to disk, their header checked before the rest is kept."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from adapters.errors import StudioError
from adapters.files import Header, disk_error, header_length, parse_header

_PREFIX, _STALE = "intake-", 86400  # seconds


class Intake:
    """A file of `size` bytes that arrives in pieces; `check` sees its header as soon as that is whole.

    Without `check` the content is taken as it comes, for readers that look for themselves.
    """

    def __init__(self, path: Path, size: int, check: Callable[[Header], object] | None) -> None:
        self.path, self.size, self.check = path, size, check
        self.taken = 0
        self._first = bytearray()
        self._out = path.open("wb")

    def take(self, piece: bytes) -> None:
        """The next bytes. Raises StudioError when they make no file that is wanted here."""
        self.taken += len(piece)
        if self.taken > self.size:
            raise StudioError(f"'{self.path.name}' has more bytes than were announced; send it again.")
        if self.check:
            self._first += piece
            self._look()
        try:
            self._out.write(piece)
        except OSError as error:
            raise disk_error(error, self.path) from error

    def _look(self) -> None:
        if len(self._first) < 8 and self.taken < self.size:
            return
        length = header_length(bytes(self._first[:8]), self.size, self.path)
        if len(self._first) >= 8 + length and self.check:
            self.check(parse_header(bytes(self._first[8:8 + length]), self.size, self.path))
            self.check, self._first = None, bytearray()

    def close(self) -> None:
        """Close the file."""
        self._out.close()

    def finish(self) -> None:
        """Close the file; StudioError when it is not whole."""
        self.close()
        if self.taken != self.size:
            raise StudioError(f"'{self.path.name}' came with {self.taken} of {self.size} bytes; send it again.")


def plain_name(name: str, endings: tuple[str, ...]) -> str:
    """A file name of letters, digits, '-' and '_' with its ending; StudioError unless that is one of `endings`."""
    found = Path(name.replace("\\", "/")).name
    ending = Path(found).suffix.lower()
    if ending not in endings:
        raise StudioError(f"'{found[:60]}' does not end in {' or '.join(endings)}; choose a file that does.")
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", found[:-len(ending)]).strip("-_")[:64]
    return f"{stem or 'imported'}{ending}"


@asynccontextmanager
async def workplace(temporary: Path) -> AsyncIterator[Path]:
    """A folder for one upload, gone afterwards; what a crash left there more than a day ago goes too."""
    for old in temporary.glob(f"{_PREFIX}*"):
        if time.time() - old.stat().st_mtime > _STALE:
            await run_in_threadpool(shutil.rmtree, old, True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=temporary))
    try:
        yield folder
    finally:
        await run_in_threadpool(shutil.rmtree, folder, True)


async def receive(request: Request, path: Path, most: int, check: Callable[[Header], object] | None = None) -> None:
    """Keep a request's body of `most` bytes at most as `path`, whose name is told in messages.

    Raises StudioError when it is too large, cut off, or refused by `check`; the file is to be taken away then.
    """
    announced = request.headers.get("content-length", "")
    if not announced.isdecimal():
        raise StudioError("The request does not say how long the file is; send it with a Content-Length.")
    size, problem = int(announced), None
    if size > most:
        raise StudioError(f"'{path.name}' has {size / 1e6:.0f} MB, and {most / 1e6:.0f} MB are the most here; choose a "
                          "smaller file, or give its path on this machine.")
    if size > shutil.disk_usage(path.parent).free:
        raise disk_error(OSError(errno.ENOSPC, ""), path)
    intake = Intake(path, size, check)
    try:
        async for piece in request.stream():
            if problem is None:
                try:
                    await run_in_threadpool(intake.take, piece)
                except StudioError as error:
                    problem = error  # the rest is read and dropped: a browser that is cut off shows no answer
    except ClientDisconnect as error:
        raise HTTPException(400) from error
    finally:
        intake.close()
    if problem is not None:
        raise problem
    intake.finish()
