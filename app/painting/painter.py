"""The studio's side of the warm painting process: started when first needed, restarted if it dies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from app.child import Child


class Cancelled(StudioError):
    """Somebody asked for no more of it."""


@dataclass(frozen=True)
class Watch:
    """How the asker and the painter speak while a picture is made."""

    progress: Callable[[int, int], None] | None = None
    """Called with steps done and steps in all."""
    preview: Path | None = None
    """A file that shows, now and then, how far the picture has come."""
    cancel: Path | None = None
    """A file; once it is there, painting ends after the step."""
    unseen: Callable[[], None] | None = None
    """Called where there is no preview, since the base's safety checker is to see each picture first."""

    def check(self) -> None:
        """Raise Cancelled when the file is there."""
        if self.cancel and self.cancel.exists():
            raise Cancelled("The picture was cancelled.")


def keep_only_with(sources: Sequence[Path | None], pictures: Sequence[Path]) -> None:
    """Take finished pictures away again, and raise StudioError, when one of the files they were made from is gone.

    Whoever erases looks for pictures once more after those files are gone: so none is left, whichever comes first.
    """
    gone = next((s for s in sources if s and not s.is_file()), None)
    if gone:
        for picture in pictures:
            picture.unlink(missing_ok=True)
        raise StudioError(f"What it is painted from ('{gone.stem}') was deleted meanwhile, so the picture was not "
                          "kept; choose something else and paint it again.")


class PainterProcess:
    """One painting child; calls from many threads take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child = Child("app.painting.painter_child", "The painting process", "try a smaller size", greets=True)

    def warm_up(self) -> None:
        """Start the child now, so that the first picture does not wait for its imports."""
        with self._lock:
            self._child.start()

    def paint(self, base: str, adapters: Sequence[tuple[Path, float, dict[str, str]]], request: dict[str, Any],
              files: Sequence[Path], *, offline: bool, watch: Watch | None = None,
              edit: tuple[Path, Path | None] | None = None,
              regions: Mapping[Path, Path] | None = None) -> dict[str, Any]:
        """Paint into `files`; with `edit`, a picture and perhaps its mask, that picture anew; with `regions`, adapter
        files inside their masks alone.

        Returns the resolved settings or raises StudioError, Cancelled when `watch` says so.
        """
        watch = watch or Watch()
        job = {"base": base, "adapters": [(str(p), s, d) for p, s, d in adapters], "request": request,
               "files": [str(f) for f in files], "offline": offline, "edit": [p and str(p) for p in edit or ()],
               "preview": watch.preview and str(watch.preview), "cancel": watch.cancel and str(watch.cancel),
               "regions": {str(a): str(m) for a, m in (regions or {}).items()}}
        with self._lock:
            watch.check()  # others may have been long before
            self._child.tell(**job)
            while True:
                message = self._child.read()
                if "progress" in message:
                    if watch.progress:
                        watch.progress(*message["progress"])
                elif "unseen" in message:
                    if watch.unseen:
                        watch.unseen()
                elif "cancelled" in message:
                    raise Cancelled("The picture was cancelled.")
                elif "error" in message:
                    raise StudioError(message["error"])
                else:
                    settings: dict[str, Any] = message["settings"]
                    return settings

    def close(self) -> None:
        """End the child."""
        self._child.close()
