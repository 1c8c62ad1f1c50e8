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

    def check(self) -> None:
        """Raise Cancelled when the file is there."""
        if self.cancel and self.cancel.exists():
            raise Cancelled("The picture was cancelled.")


class PainterProcess:
    """One painting child; calls from many threads take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child = Child("app.painting.painter_child", "The painting process ended (code {}), most often because "
                            "the memory was not enough; try a smaller size.", greets=True)

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
