"""Data folders of earlier versions: brought up step by step, with a copy of what was changed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from adapters.errors import StudioError
from app.home import Home
from app.jobs.job_files import JobFiles
from app.jobs.store import JobStore
from app.studio import Studio
from app.system import migrations
from app.system.migrations import FORMAT, read_format
from pipelines.run_config import RunConfig

# As the first version wrote them: one table, settings with `taken_triggers`, no number of a format.
FIRST_LIST = """
    CREATE TABLE migrations (number INTEGER PRIMARY KEY);
    INSERT INTO migrations VALUES (0);
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, pid INTEGER,
        message TEXT NOT NULL DEFAULT '', created REAL NOT NULL, started REAL, ended REAL);
    INSERT INTO jobs VALUES ('mycat-20261120111500-000001', 'mycat', 'stopped', NULL, '', 1.0, 2.0, 3.0);
    INSERT INTO jobs VALUES
        ('mydog-20261120112000-000002', 'mydog', 'failed', NULL, 'The disk is full.', 4.0, 5.0, 6.0);
"""
FIRST_TRAINING = {
    "method": "lora", "steps": 200, "batch": 4, "accumulate": 1, "learning_rate": 0.0005, "schedule": "constant",
    "warmup": 0, "weight_decay": 0.01, "max_grad_norm": 1.0, "min_snr_gamma": 5.0, "flip": False, "zoom": 1.0,
    "views": 1, "seed": 0, "precision": "auto", "gradient_checkpointing": False, "preview_every": 50,
    "preview_steps": 15, "checkpoint_every": 50, "rank": 16, "alpha": 16.0, "rslora": False, "dora": False,
    "layers": "attention"}
CAT, DOG = "mycat-20261120111500-000001", "mydog-20261120112000-000002"


@pytest.fixture
def first(tmp_path: Path) -> Home:
    """A data folder of the first format, with two trainings, a picture and a foreign file."""
    home = Home(tmp_path / "home")
    for folder in ("adapters", "images", "tmp", f"runs/{CAT}/references", f"runs/{DOG}"):
        (home.root / folder).mkdir(parents=True)
    for run, name in ((CAT, "mycat"), (DOG, "mydog")):
        (home.runs / run / "config.json").write_text(json.dumps({
            "name": name, "class_noun": "cat", "base": "starter", "offline": False, "trigger": "",
            "taken_triggers": ["zok", "sks"], "image_hashes": ["a" * 64], "training": FIRST_TRAINING}, indent=1))
        (home.runs / run / "events.jsonl").write_text(
            '{"time": 2.0, "type": "stage", "text": "Starting"}\n')
    (home.images / "20261120-113000-abcdef-0.png").write_bytes(b"a picture")
    (home.root / "notes.txt").write_text("mine")
    with sqlite3.connect(home.database) as db:
        db.executescript(FIRST_LIST)
    db.close()
    return home


def test_the_first_format_is_brought_up_and_nothing_is_lost(first: Home) -> None:
    config = (first.runs / CAT / "config.json").read_bytes()
    with pytest.raises(StudioError):
        RunConfig.load(first.runs / CAT)  # what the step is for
    studio = Studio(Home.open(str(first.root)))
    assert read_format(first) == FORMAT
    assert [(j.id, j.name, j.state, j.message, j.created) for j in studio.jobs()] == [
        (DOG, "mydog", "failed", "The disk is full.", 4.0), (CAT, "mycat", "stopped", "", 1.0)]
    loaded = RunConfig.load(first.runs / CAT)
    assert (loaded.name, loaded.training.steps, loaded.image_hashes) == ("mycat", 200, ("a" * 64,))
    studio.resume(CAT)
    assert studio.job(CAT).state == "queued"
    assert (first.images / "20261120-113000-abcdef-0.png").read_bytes() == b"a picture"
    assert (first.root / "notes.txt").read_text() == "mine"
    backup = next(first.backups.iterdir())
    assert (backup / "runs" / CAT / "config.json").read_bytes() == config
    with sqlite3.connect(backup / "studio.db") as db:
        assert db.execute("SELECT count(*) FROM jobs").fetchone() == (2,)
        assert "kind" not in [c[1] for c in db.execute("PRAGMA table_info(jobs)")]
    db.close()


def test_a_folder_that_was_brought_up_is_left_alone(first: Home) -> None:
    Studio(Home.open(str(first.root)))
    files = {p: p.stat().st_mtime_ns for p in first.root.rglob("*") if p.is_file()}
    Studio(Home.open(str(first.root)))
    after = {p: p.stat().st_mtime_ns for p in first.root.rglob("*") if p.is_file()}
    assert {p for p in files if files[p] != after.get(p)} <= {first.database, *migrations.database_files(first)}
    assert len(list(first.backups.iterdir())) == 1


def test_the_second_format_gets_a_file_for_each_job(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    store = JobStore(home.database)  # without files beside it, as before
    for id in ("a-1", "b-1", "gone-1"):
        store.add(id, id[0], kind="preflight")
    for id in ("a-1", "b-1"):
        (home.runs / id).mkdir()
    store.move("b-1", "first")
    store.pause(True)
    home.format.write_text("2\n")
    Studio(home)
    assert json.loads((home.runs / "b-1" / "job.json").read_text())["kind"] == "preflight"
    assert JobFiles(home).was_paused() and read_format(home) == FORMAT


def test_a_step_that_fails_is_a_sentence_and_is_done_again(first: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    change = migrations.STEPS[1].change

    def refused(home: Home) -> None:
        raise PermissionError("not allowed")

    monkeypatch.setitem(migrations.STEPS, 1, migrations.Step(migrations.STEPS[1].touches, refused))
    with pytest.raises(StudioError, match=r"from format 1 to 2 .*nothing is lost"):
        Studio(Home.open(str(first.root)))
    assert read_format(first) == 1
    monkeypatch.setitem(migrations.STEPS, 1, migrations.Step(migrations.STEPS[1].touches, change))
    Studio(Home.open(str(first.root)))
    assert RunConfig.load(first.runs / DOG).name == "mydog"


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    home.format.write_text(f"{FORMAT + 1}\n")
    with pytest.raises(StudioError, match=f"has format {FORMAT + 1}, this studio reads up to {FORMAT}; update"):
        Studio(home)
    assert not home.database.exists() and home.format.read_text() == f"{FORMAT + 1}\n"


@pytest.mark.parametrize("said", ["", "three", "0"])
def test_a_format_that_is_none_is_a_sentence(tmp_path: Path, said: str) -> None:
    home = Home.open(str(tmp_path))
    home.format.write_text(said)
    with pytest.raises(StudioError, match="format"):
        Studio(home)


def test_a_new_folder_has_todays_format(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    Studio(home)
    assert home.format.read_text() == f"{FORMAT}\n" and not home.backups.exists()


def test_a_copy_that_was_cut_off_is_not_taken_for_what_was_there(first: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy of before a step stays when the step is done again, so it has to be whole or absent."""
    backup = first.backups / "a"

    def cut_off(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:10])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(migrations.shutil, "copyfile", cut_off)
        migrations.keep(first.database, first, backup)
    assert not list(backup.iterdir())
    migrations.keep(first.database, first, backup)
    assert (backup / "studio.db").read_bytes() == first.database.read_bytes()
