"""Bases and helpers on their way from the hub, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any, Literal

from adapters.errors import StudioError
from app.system.bases import Bases
from pipelines.base_models.hub import HubModel, describe
from pipelines.base_models.locate import locate
from pipelines.helpers import HELPERS
from pipelines.shipped import REPOSITORY


@dataclass
class Download:
    """One download. `done` and `total` are bytes."""

    model: HubModel
    process: subprocess.Popen[str] = field(repr=False)
    state: Literal["running", "finished", "failed", "cancelled"] = "running"
    done: int = 0
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For the page."""
        return {"id": self.model.id, "licence": self.model.licence, "total": self.model.bytes,
                "done": self.model.bytes if self.state == "finished" else self.done, "state": self.state,
                "message": self.message, "helper": self.model.id in HELPERS}


class Downloads:
    """By hub id; the last one of each."""

    def __init__(self, bases: Bases) -> None:
        self.bases = bases
        self._lock = threading.Lock()
        self._known: dict[str, Download] = {}

    def all(self) -> list[dict[str, Any]]:
        """Running ones and those that ended since the studio was started."""
        return [d.as_dict() for d in self._known.values()]

    def start(self, hub_id: str, *, offline: bool) -> dict[str, Any]:
        """Begin, or go on with, a download of a base or one of HELPERS.

        Raises StudioError offline, and when the hub has no such model.
        """
        if locate(hub_id, any_place=True).form != "hub":
            raise StudioError(f"'{hub_id[:100]}' is no hub id; write it as 'owner/name'.")
        with self._lock:
            running = self._known.get(hub_id)
            if running is None or running.state != "running":
                model = describe(hub_id, offline)
                files = model.files if hub_id in HELPERS else ()
                process = subprocess.Popen(
                    [sys.executable, "-m", "app.system.base_child", hub_id, *files], stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, start_new_session=True)
                running = self._known[hub_id] = Download(model, process)
                threading.Thread(target=self._follow, args=(running,), name="download", daemon=True).start()
        return running.as_dict()

    def _follow(self, download: Download) -> None:
        said: dict[str, Any] = {}
        for line in download.process.stdout or ():
            said = json.loads(line)
            download.done = said.get("done", download.done)
        download.process.wait()
        if download.state == "cancelled":
            return
        try:
            if "family" not in said:
                raise StudioError(said.get("error", "The download ended without a word; start it again, what is here "
                                                    "already is kept."))
            if download.model.id not in HELPERS:
                self.bases.add(download.model.id, licence=download.model.licence)
            download.state = "finished"
        except StudioError as error:
            download.state, download.message = "failed", str(error)

    def cancel(self, hub_id: str) -> dict[str, Any]:
        """End a download; what came so far is kept for the next time. Raises StudioError when there is none."""
        download = self._known.get(hub_id)
        if download is None:
            raise StudioError(f"'{hub_id[:100]}' is not being downloaded.")
        if download.state == "running":
            download.state = "cancelled"
            download.process.terminate()
        return download.as_dict()

    def close(self) -> None:
        """End all."""
        for hub_id in self._known:
            self.cancel(hub_id)
