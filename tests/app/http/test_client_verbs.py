"""Gradio's own client and the studio's verbs, over a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from adapters.record import AdapterRecord
from app.http.server import create_app
from app.jobs.lab_jobs import CompareTask, load_task
from app.studio import Studio
from pipelines.run_config import RunConfig
from pipelines.shipped import SAMPLES
from tests.app.http.test_library_routes import word_file
from tests.app.listening import listening
from tests.app.tools import FakePainter


@pytest.fixture
def address(studio: Studio, painter: FakePainter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    monkeypatch.setattr(studio.supervisor, "start", lambda: None)  # what is queued stays there
    with listening(create_app(studio, ["127.0.0.1"])) as at:
        yield at


@pytest.fixture
def gradio(address: str) -> Iterator[Client]:
    client = Client(address, verbose=False, httpx_kwargs={"timeout": 120})
    yield client
    client.close()


def test_the_client_sees_what_can_be_asked(gradio: Client) -> None:
    told = gradio.view_api(return_format="dict")
    assert {"/train", "/run", "/stop", "/resume", "/generate", "/settings", "/list", "/export", "/import", "/evaluate",
            "/recommend", "/result", "/compare", "/clone", "/delete_run", "/restore_run", "/queue", "/pause", "/go_on",
            "/move", "/later", "/consent", "/consents", "/revoke", "/rename", "/tag", "/delete", "/trash", "/restore",
            "/erase", "/verify", "/preflight", "/estimate", "/estimate_of", "/keep", "/save_now",
            "/sample_now"} <= set(told["named_endpoints"])
    names = [p["parameter_name"] for p in told["named_endpoints"]["/train"]["parameters"]]
    assert names[:3] == ["name", "noun", "pictures"]
    assert not told["unnamed_endpoints"]


def test_a_training_is_queued_from_files_and_stopped(gradio: Client, studio: Studio, tmp_path: Path) -> None:
    files = [handle_file(p) for p in sorted((SAMPLES / "koala").glob("*.png"))[:3]]
    run = gradio.predict("mykoala", "bear", files, preset="fast", settings={"steps": 7}, api_name="/train")
    assert run["state"] == "queued" and run["name"] == "mykoala"
    assert len(list((studio.home.runs / run["id"] / "references").glob("*.png"))) == 3
    assert gradio.predict(run["id"], api_name="/run")["total"] in (0, 7)
    assert not list((tmp_path / "uploads").rglob("*.png")), "a copy was left where nothing is erased"
    assert gradio.predict(run["id"], api_name="/stop")["state"] == "stopped"
    assert [r["id"] for r in gradio.predict(api_name="/runs")] == [run["id"]]


def test_the_queue_is_ordered_paused_and_cleared(gradio: Client) -> None:
    def ask(verb: str, *values: Any, **named: Any) -> Any:
        return gradio.predict(*values, **named, api_name=f"/{verb}")

    def waiting() -> list[str]:
        return [job["name"] for job in ask("queue")["waiting"]]

    picture = [handle_file(SAMPLES / "koala" / "0.png")]
    first, second = (ask("train", name, "bear", picture, settings={"steps": 7})["id"] for name in ("first", "second"))
    assert ask("pause")["paused"] is True and ask("go_on")["paused"] is False
    assert [job["name"] for job in ask("move", second, "first")["waiting"]] == ["second", "first"]
    (put_off,) = [job for job in ask("later", first, time.time() + 3600)["waiting"] if job["not_before"]]
    assert put_off["name"] == "first"
    copy = ask("clone", first, "third", {"steps": 9})
    assert copy["name"] == "third" and waiting() == ["second", "first", "third"]
    ask("stop", second)
    assert waiting() == ["first", "third"]
    assert ask("resume", second)["state"] == "queued" and waiting() == ["first", "third", "second"]
    assert ask("delete_run", second) == {"deleted": second}
    assert [job["id"] for job in ask("queue")["deleted"]] == [second]
    assert ask("restore_run", second)["state"] == "stopped"


def test_a_training_is_reckoned_tried_and_asked_for_what_it_has(gradio: Client, studio: Studio, record: AdapterRecord
                                                                ) -> None:
    guess = gradio.predict(settings={"steps": 7}, api_name="/estimate")
    assert guess["says"].startswith("Estimated: ") and studio.drafts.all() == []
    with pytest.raises(AppError, match="no setting 'steeps'"):
        gradio.predict(settings={"steeps": 7}, api_name="/estimate")
    assert studio.drafts.all() == []
    picture = [handle_file(SAMPLES / "koala" / "0.png")]
    tried = gradio.predict("mykoala", "bear", picture, settings={"steps": 7}, api_name="/preflight")
    assert (tried["kind"], tried["state"]) == ("preflight", "queued")
    gradio.predict(tried["id"], api_name="/stop")
    run = gradio.predict("mykoala", "bear", picture, settings={"steps": 7}, api_name="/train")["id"]
    assert gradio.predict(run, api_name="/estimate_of") == guess
    with pytest.raises(AppError, match="is queued; only a training that runs"):
        gradio.predict(run, api_name="/save_now")
    studio.store.claim()
    for verb in ("save_now", "sample_now"):
        assert gradio.predict(run, api_name=f"/{verb}")["id"] == run
    folder = studio.home.runs / run
    assert sorted(p.name for p in folder.glob("*-now")) == ["sample-now", "save-now"]
    with pytest.raises(AppError, match="has no checkpoint yet"):
        gradio.predict(run, api_name="/keep")
    (folder / "checkpoints").mkdir()
    for step in (3, 5):
        word_file(folder / "checkpoints" / f"mykoala-step{step:08d}.safetensors", record, float(step))
    kept = gradio.predict(run, 3, api_name="/keep")["adapter"]
    assert [e.name for e in studio.library.entries()] == [kept] == ["mykoala"]


def test_an_adapter_is_renamed_tagged_put_away_brought_back_and_erased(gradio: Client, studio: Studio, tmp_path: Path,
                                                                       record: AdapterRecord) -> None:
    for name in ("mycat", "mydog"):
        studio.library.add(word_file(tmp_path / f"{name}.safetensors", record.model_copy(update={"name": name})), name)
    with pytest.raises(AppError, match="There is an adapter 'mydog' already"):
        gradio.predict("mycat", "mydog", api_name="/rename")
    assert gradio.predict("mycat", "tom", api_name="/rename")["name"] == "tom"
    assert gradio.predict("tom", ["pets", "grey"], api_name="/tag")["tags"] == ["pets", "grey"]
    gone = gradio.predict("tom", api_name="/delete")
    assert [a["id"] for a in gradio.predict(api_name="/trash")] == [gone["id"]]
    assert gradio.predict(gone["id"], api_name="/restore")["tags"] == ["pets", "grey"]
    assert gradio.predict("tom", [], api_name="/tag")["tags"] == []
    assert [a["name"] for a in gradio.predict("tom", api_name="/list")] == ["tom"]
    assert gradio.predict("tom", api_name="/erase")["removed"]
    assert [e.name for e in studio.library.entries()] == ["mydog"]


def test_a_file_is_verified_and_no_copy_of_it_stays(gradio: Client, tmp_path: Path, record: AdapterRecord) -> None:
    word = word_file(tmp_path / "word.safetensors", record)
    told = gradio.predict(handle_file(word), api_name="/verify")
    assert (told["kind"], told["intact"]) == ("adapter", True)
    assert not list((tmp_path / "uploads").rglob("*.safetensors"))


def test_methods_are_compared_on_the_same_files(gradio: Client, studio: Studio) -> None:
    files = [handle_file(p) for p in sorted((SAMPLES / "koala").glob("*.png"))[:2]]
    job = gradio.predict("mykoala", "bear", files, ["lora", "textual-inversion"], preset="fast", steps=3,
                         options={"seeds": 2}, api_name="/compare")
    assert (job["kind"], job["state"]) == ("compare", "queued")
    task = load_task(studio.home.runs / job["id"])
    assert isinstance(task, CompareTask)
    assert (task.methods, task.steps, task.seeds) == (("lora", "textual-inversion"), 3, 2)
    assert len(task.image_hashes) == 2


def test_a_person_is_trained_under_the_consent_that_was_given(gradio: Client, studio: Studio) -> None:
    files = [handle_file(SAMPLES / "koala" / "0.png")]
    with pytest.raises(AppError, match="only with their consent"):
        gradio.predict("myfriend", "man", files, kind="person", api_name="/train")
    given = gradio.predict(files, "A Friend", "training", "me", "2026-05-01", api_name="/consent")
    assert studio.drafts.all() == []
    run = gradio.predict("myfriend", "man", files, kind="person", api_name="/train")
    assert RunConfig.load(studio.home.runs / run["id"]).consent == given["id"]
    assert [s["id"] for s in gradio.predict(api_name="/consents")] == [given["id"]]
    gradio.predict(run["id"], api_name="/stop")
    assert gradio.predict(given["id"], api_name="/revoke")["revoked"]
    assert not (studio.home.runs / run["id"]).exists()


def test_what_is_refused_is_the_studios_sentence_and_leaves_nothing(gradio: Client, studio: Studio,
                                                                     tmp_path: Path) -> None:
    picture = sorted((SAMPLES / "koala").glob("*.png"))[0]
    with pytest.raises(AppError, match="no setting 'steeps'"):
        gradio.predict("mykoala", "bear", [handle_file(picture)], settings={"steeps": 7}, api_name="/train")
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(AppError, match=r"no\.png"):
        gradio.predict("mykoala", "bear", [handle_file(tmp_path / "no.png")], api_name="/train")
    assert studio.drafts.all() == [] and studio.jobs() == []


def test_pictures_are_painted_and_say_how(gradio: Client, address: str, tmp_path: Path) -> None:
    made = gradio.predict("a cat", ["mycat:0.7"], request={"seed": 5}, api_name="/generate")
    file = tmp_path / "cat.png"
    file.write_bytes(httpx.get(address + made[0]).content)
    told = gradio.predict(handle_file(file), api_name="/settings")
    assert told["request"]["prompt"] == "a cat" and told["request"]["seed"] == 5
    assert told["adapters"][0][:2] == ["mycat", 0.7]


@pytest.mark.parametrize(("meta", "sentence"), [
    ({"meta": {"_type": "gradio.FileData"}}, "was not uploaded"), ({}, "handle_file")])
def test_a_file_of_the_machine_cannot_be_named(address: str, tmp_path: Path, meta: dict[str, object],
                                               sentence: str) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(sorted((SAMPLES / "koala").glob("*.png"))[0].read_bytes())
    event = httpx.post(f"{address}/gradio_api/call/settings", timeout=60,
                       json={"data": [{"path": str(secret), **meta}]}).json()["event_id"]
    said = httpx.get(f"{address}/gradio_api/call/settings/{event}", timeout=60).text
    assert "event: error" in said and sentence in said
