"""What a killed process left is swept away, at the next start, by repair, and where a consent is revoked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.studio import Studio
from app.system.repair import repair
from pipelines.shipped import SAMPLES
from tests.app.concepts.test_erasing import consent, revoke

PICTURE = SAMPLES / "koala" / "0.png"
LEFT = ("tmp/tmpab12/upload.png", "tmp/paintings/0123456789ab.png", "tmp/uploads/hash/me.png", "tmp/upload-x/a.png",
        "drafts/0123456789ab/ready-x1/00.png", "drafts/0123456789ab/ready/00.png")
CUT_OFF = ("drafts/0123456789ab/pictures/.a.tmp", "adapters/.b.tmp", "images/.c.tmp", "trash/x/.d.tmp")
STAYS = ("tmp/sources/abc.png", "tmp/exports/x/ada.png", "tmp/paintings/ba.stop", "runs/whole-1/references/0.png",
         "drafts/0123456789ab/pictures/a.png")


def put(studio: Studio, name: str, *, old: bool = True, picture: Path = PICTURE) -> Path:
    path = studio.home.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(picture, path)
    for part in (path, path.parent) if old else ():
        os.utime(part, (1e9, 1e9))
    return path


def start(studio: Studio) -> None:
    studio.supervisor.start()
    studio.supervisor.close()


@pytest.mark.parametrize("sweep", [start, lambda studio: repair(studio.home)])
def test_copies_from_before_and_jobs_that_never_were_go_and_what_is_in_use_stays(
        studio: Studio, sweep: Callable[[Studio], object]) -> None:
    (studio.home.runs / "whole-1").mkdir()
    (studio.home.runs / "whole-1" / "config.json").write_text("{}")
    left = [put(studio, name) for name in (*LEFT, *CUT_OFF, "runs/half-1/references/0.png")]
    fresh = ("tmp/tmpcd34/upload.png", "drafts/ab/ready-x/0.png", "adapters/.d.tmp")
    stays = [put(studio, name) for name in STAYS] + [put(studio, name, old=False) for name in fresh]
    sweep(studio)
    assert [p for p in left if p.exists()] == [] and [p for p in stays if not p.exists()] == []
    assert not (studio.home.runs / "half-1").exists() and not (studio.home.temporary / "tmpab12").exists()


def test_repair_says_how_many(studio: Studio) -> None:
    for name in LEFT:
        put(studio, name)
    assert "6 temporary copies and folders of jobs that were never queued were taken away." in repair(studio.home)


def test_revoking_takes_copies_of_its_pictures_and_what_a_crash_left(client: TestClient, studio: Studio) -> None:
    statement = consent(client, 0)
    copy = put(studio, "tmp/uploads/hash/me.png", old=False)
    other = put(studio, "tmp/uploads/hash/it.png", old=False, picture=SAMPLES / "koala" / "2.png")
    left = [*(put(studio, name) for name in (LEFT[0], *CUT_OFF)),
            put(studio, "runs/half-1/references/0.png", old=False)]
    assert "temporary copy me.png" in revoke(client, statement)
    assert [p.name for p in (copy, other, *left) if p.exists()] == ["it.png"]


def test_to_sweep_is_not_to_erase(client: TestClient, studio: Studio) -> None:
    put(studio, LEFT[0])
    assert client.post("/studio/concepts/nobody/erase").status_code == 400
