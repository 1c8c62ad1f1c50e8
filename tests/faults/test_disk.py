"""A disk that is full: a real one of a few MB where this may be mounted, else writes that are refused as by one."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from adapters import files
from adapters.errors import StudioError
from adapters.studio_file import intact
from app.home import Home
from app.http.server import create_app
from app.jobs import store as store_module
from app.studio import Studio
from pipelines.shipped import SAMPLES
from pipelines.training import RESUME_FILE
from tests.app.tools import FakePainter, begin, until
from tests.faults import children
from tests.faults.conftest import FULL, Note

pytestmark = pytest.mark.slow  # processes are started and killed

SIZE = "40m"
ROUNDS = 5 if FULL else 1


class Disk:
    """A folder that can be full."""

    def __init__(self, root: Path, real: bool) -> None:
        self.root, self.real = root, real
        self.ballast, self.flag = root / "ballast", root.parent / "full"

    def fill(self) -> None:
        """Until not one byte more fits."""
        if not self.real:
            self.flag.touch()
            return
        with self.ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def free(self) -> None:
        (self.ballast if self.real else self.flag).unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    root = tmp_path / "disk"
    root.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(root)], check=False,
                          capture_output=True)
    made = Disk(root, done.returncode == 0)
    if not made.real:
        monkeypatch.setattr(files, "tempfile", files.tempfile)
        children.refuse_while(made.flag)
        monkeypatch.setattr(store_module.JobStore, "_connect", _refusing(store_module.JobStore._connect, made.flag))
    try:
        yield made
    finally:
        if made.real:
            subprocess.run(["umount", "-l", str(root)], check=True)


def _refusing(connect: Any, flag: Path) -> Any:
    def refused(self: Any) -> Any:
        if flag.exists():
            raise StudioError("The job list cannot be used (database or disk is full); free some of the disk.")
        return connect(self)

    return refused


def is_a_sentence_about_the_disk(text: str) -> bool:
    return "disk" in text.lower() and "full" in text and text.endswith(".") and "\n" not in text


def test_a_full_disk_at_a_checkpoint_fails_in_a_sentence_and_keeps_the_one_before(disk: Disk, tiny_base: Path,
                                                                                  note: Note) -> None:
    for n in range(ROUNDS):
        studio = Studio(Home.open(str(disk.root / f"home{n}")))
        full, after = (studio.home.runs / children.queue_training(studio, tiny_base, name, steps=steps)
                       for name, steps in (("full", 40), ("after", 2)))
        (full / "fault").write_text("" if disk.real else str(disk.flag))
        server = children.start_studio(studio.home.root)
        try:
            children.until(lambda full=full: children.checkpoints_in(full))
            pid = studio.job(full.name).pid or 0
            disk.fill()
            children.until(lambda pid=pid: not alive(pid))
            check_kept(full)
            disk.free()
            children.until(lambda studio=studio, full=full: studio.job(full.name).state == "failed")
            assert is_a_sentence_about_the_disk(studio.job(full.name).message), studio.job(full.name).message
            children.until(lambda studio=studio, after=after: studio.job(after.name).state == "finished")
        finally:
            disk.free()
            server.terminate()
            server.join(children.PATIENCE)
    note(3, f"disk full at a checkpoint ({'a mounted disk of ' + SIZE if disk.real else 'refused writes'})", ROUNDS,
         "failed in a sentence, the checkpoint before and what resumes from it intact; the next job ran once there was "
         "space")


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except (FileNotFoundError, ProcessLookupError):
        return False


def check_kept(folder: Path) -> None:
    kept = sorted((folder / "checkpoints").glob("*.safetensors"))
    assert kept and all(intact(path) for path in kept)
    assert torch.load(folder / RESUME_FILE, weights_only=True)["step"] >= 2


def test_a_full_disk_at_a_picture_leaves_what_was_there(disk: Disk, monkeypatch: pytest.MonkeyPatch,
                                                        note: Note) -> None:
    studio = Studio(Home.open(str(disk.root / "home")))
    monkeypatch.setattr(studio.painter, "paint", FakePainter().paint)
    client = TestClient(create_app(studio, ["127.0.0.1"]), base_url="http://127.0.0.1", raise_server_exceptions=False)
    draft = client.post("/studio/drafts").json()["id"]
    picture = (SAMPLES / "koala" / "0.png").read_bytes()
    assert until(client, begin(client), "done")
    before = {p: p.read_bytes() for p in (*studio.home.images.iterdir(), *studio.home.drafts.rglob("*.json"))}
    disk.fill()
    painted = until(client, begin(client), "done", "failed")
    assert painted["state"] == "failed" and is_a_sentence_about_the_disk(painted["message"]), painted
    uploaded = client.post(f"/studio/drafts/{draft}/pictures", files={"files": ("0.png", picture)})
    assert uploaded.status_code < 500, uploaded.text
    said = uploaded.json().get("error") or uploaded.json()["refused"][0]
    assert is_a_sentence_about_the_disk(said), said
    assert {p: p.read_bytes() for p in (*studio.home.images.iterdir(), *studio.home.drafts.rglob("*.json"))} == before
    disk.free()
    assert until(client, begin(client), "done")
    assert not client.post(f"/studio/drafts/{draft}/pictures", files={"files": ("0.png", picture)}).json()["refused"]
    studio.close()
    note(3, "disk full at a painted picture and an upload", 2,
         "both refused in a sentence, all files as before; done again once there was space")


def test_a_full_disk_at_the_job_list_leaves_it_whole(disk: Disk, note: Note) -> None:
    studio = Studio(Home.open(str(disk.root / "home")))
    for n in range(3):
        (studio.home.runs / f"j-{n}").mkdir()
        studio.store.add(f"j-{n}", f"j{n}")
    before = studio.store.rows()
    disk.fill()
    changes = (lambda: studio.store.add("j-9", "j9"), studio.store.claim, lambda: studio.store.cancel("j-0"),
               lambda: studio.store.move("j-2", "first"), lambda: studio.store.pause(True),
               lambda: studio.store.end("j-1", "stopped"))
    for change in changes:
        with pytest.raises(StudioError) as refused:
            change()
        assert is_a_sentence_about_the_disk(str(refused.value)), refused.value
    disk.free()
    assert studio.store.rows() == before and not studio.store.paused
    with sqlite3.connect(studio.home.database) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for change in changes:
        change()
    note(3, "disk full at a change of the job list", len(changes),
         "each refused in a sentence, nothing changed; done again once there was space")
