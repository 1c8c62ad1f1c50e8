"""What a concept is, on the command line: a face is asked about, a person needs consent, in both verbs that teach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import app.verbs.kinds
import app.verbs.train_verb
from adapters.errors import StudioError
from app.home import Home
from app.jobs.lab_jobs import TASK
from app.studio import Studio
from app.verbs.cli import main
from pipelines.lab.compare import Comparison
from pipelines.run_config import RunConfig
from pipelines.shipped import SAMPLES

PICTURES = str(SAMPLES / "koala")
VERBS = {"train": ["--name", "koala", "--class-noun", "bear", "--images", PICTURES],
         "compare": ["--methods", "lora", "--class-noun", "bear", "--references", PICTURES, "--force"]}
GIVEN = ["consent", "give", "--images", PICTURES, "--who", "Ada", "--scope", "a card", "--by", "Ada", "--date",
         "2026-05-01"]


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Nothing is taught: the kind and the consent of what would be."""
    found: list[tuple[str, str]] = []

    def train_here(_studio: Studio, folder: Path, _report: object) -> dict[str, object]:
        config = RunConfig.load(folder)
        found.append((config.concepts[0].kind, config.consent))
        raise StudioError("far enough")

    def run(comparison: Comparison, *_: object) -> Any:
        found.append(("person" if comparison.consent else "", comparison.consent))
        raise StudioError("far enough")

    monkeypatch.setattr(app.verbs.train_verb, "_train_here", train_here)
    monkeypatch.setattr(Comparison, "run", run)
    return found


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that sees a face in everything."""
    monkeypatch.setattr(app.verbs.kinds, "faces", lambda image: 1 if isinstance(image, Image.Image) else 0)


def refused(verb: str, home: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main([verb, *VERBS[verb], *options, "--home", str(home), "--offline"]) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("verb", VERBS)
def test_a_face_that_is_no_persons_stops_with_one_sentence_and_makes_no_job(
        tmp_path: Path, verb: str, seen: None, taught: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ([], ["--kind", "animal"]):
        said = refused(verb, tmp_path, capsys, *kind)
        assert said.startswith("error: ") and "'0.png' seems to show a face" in said
        assert "--kind person" in said and f"--kind {kind[-1] if kind else 'object'} --no-face" in said
    assert not taught and not any((tmp_path / "runs").iterdir())


@pytest.mark.parametrize("verb", VERBS)
def test_it_goes_on_where_it_is_said_to_be_no_face_and_where_none_is_seen(
        tmp_path: Path, verb: str, seen: None, taught: list[Any], capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    assert "far enough" in refused(verb, tmp_path / "a", capsys, "--no-face")
    monkeypatch.setattr(app.verbs.kinds, "faces", lambda _: None)
    assert "far enough" in refused(verb, tmp_path / "b", capsys)
    assert taught == [("object" if verb == "train" else "", "")] * 2


@pytest.mark.parametrize("verb", VERBS)
def test_a_person_needs_consent_for_these_pictures_and_is_taught_as_one_then(
        tmp_path: Path, verb: str, seen: None, taught: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert "only with their consent" in refused(verb, tmp_path, capsys, "--kind", "person")
    assert not taught and not any((tmp_path / "runs").iterdir())
    assert main([*GIVEN, "--home", str(tmp_path)]) == 0
    (statement,) = Studio(Home.open(str(tmp_path))).consents.all()
    assert "far enough" in refused(verb, tmp_path, capsys, "--kind", "person")
    assert taught == [("person", statement.id)]
    if verb == "compare":  # so that revoking it finds the comparison too
        (folder,) = (tmp_path / "runs").iterdir()
        assert json.loads((folder / TASK).read_text("utf-8"))["consent"] == statement.id


def test_consent_with_json_puts_nothing_else_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for verb in (GIVEN, ["consent", "list"]):
        assert main([*verb, "--json", "--home", str(tmp_path)]) == 0
        out, said = capsys.readouterr()
        told.append(json.loads(out))
        assert told[0]["id"] in said
    assert told[1]["consents"][0]["id"] == told[0]["id"]
    assert main(["consent", "revoke", told[0]["id"], "--json", "--home", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["revoked"]
