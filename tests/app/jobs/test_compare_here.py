"""A comparison that the command line makes is a job that the browser shows."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient

from adapters.errors import StudioError
from app.studio import Studio
from app.verbs.as_job import as_job
from app.verbs.lab_verbs import _shown_too
from pipelines.lab.compare import Row
from pipelines.shipped import SAMPLES

ASKED = {"base": "starter", "preset": "fast", "steps": 2, "seeds": 1, "prompts": ("a photo of {}",), "force": False}


def test_it_has_the_device_while_it_runs_and_is_shown_when_it_has_ended(client: TestClient, studio: Studio) -> None:
    folder = studio.lab.compare_here(SAMPLES / "koala", "bear", ["lora"], **ASKED)
    assert client.get("/studio/queue").json()["running"]["id"] == folder.name
    assert studio.store.claim() is None
    out = studio.home.root / "elsewhere"
    picture = out / "pictures" / "0123456789ab" / "0000.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes((SAMPLES / "koala" / "0.png").read_bytes())
    row = Row("lora", "lora", {"encoder": "e", "identity": 0.5, "prompt": None}, 3.0, 5, 7, [str(picture)])
    said: list[str] = []
    with as_job(studio, folder, said.append) as say:
        say("training with lora")
        (out / "result.json").write_text(json.dumps([vars(row)]))
        _shown_too([row], out, folder)
    assert said == ["training with lora"]
    assert client.get(f"/studio/runs/{folder.name}").json()["stage"] == "Training with lora"
    told = client.get(f"/studio/runs/{folder.name}/result").json()
    assert (told["kind"], told["prompts"], told["encoder"]) == ("compare", ["a photo of {}"], "e")
    assert client.get(told["rows"][0]["pictures"][0]).content == picture.read_bytes()
    assert studio.job(folder.name).state == "finished"


def test_what_goes_wrong_is_told_there(studio: Studio) -> None:
    folder = studio.lab.compare_here(SAMPLES / "koala", "bear", ["lora"], **ASKED)
    with pytest.raises(StudioError), as_job(studio, folder, print):
        raise StudioError("No judge is here.")
    assert (studio.job(folder.name).state, studio.job(folder.name).message) == ("failed", "No judge is here.")
