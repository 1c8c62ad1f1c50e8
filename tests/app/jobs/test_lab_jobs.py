"""Comparisons, evaluations and choices of a checkpoint in the queue: frozen, taking turns, stopped, read back."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.record import AdapterRecord
from adapters.studio_file import save
from app.jobs import lab_child
from app.jobs.lab_jobs import RECOMMENDED, CompareTask, load_task
from app.jobs.runs import StopFile, read_events
from app.studio import Studio
from pipelines.lab.apart import Cost
from pipelines.lab.evaluate import Pictures, Plan
from pipelines.lab.measures import Score
from pipelines.lab.prompts import STARTER
from pipelines.lab.recommend import Checkpoint
from pipelines.masks import find_masks
from pipelines.references import list_folder
from pipelines.run_config import RunConfig
from pipelines.shipped import REPOSITORY, SAMPLES


@pytest.fixture
def draft(studio: Studio) -> str:
    draft = studio.drafts.new()
    shot = studio.drafts.add(draft.id, "img.png", SAMPLES / "scenes" / "koala-firetruck" / "img.png")
    draft = studio.drafts.update(draft.id, things=[{"name": "koala", "noun": "bear"}])
    studio.drafts.set_mask(draft.id, shot.id, draft.things[0].id, SAMPLES / "scenes" / "koala-firetruck" / "mask0.png")
    return draft.id


@pytest.fixture
def adapter(studio: Studio, tmp_path: Path, host: Host, record: AdapterRecord) -> str:
    made = LoraAdapter.for_training(host, rank=2, alpha=2, targets=("to_q",))
    made.inject(host, "adapter_0")
    save(tmp_path / "run.safetensors", made, record)
    return studio.library.add(tmp_path / "run.safetensors", "mycat").name


def test_a_comparison_waits_its_turn_with_its_own_copy_of_the_pictures(
        client: TestClient, studio: Studio, draft: str) -> None:
    studio.store.add("a-1", "a")
    studio.store.claim()
    asked = {"draft": draft, "methods": ["lora", "break-a-scene"], "preset": "fast", "options": {"seeds": 2}}
    answer = client.post("/studio/comparisons", json=asked).json()
    assert (answer["name"], answer["kind"], answer["state"]) == ("koala", "compare", "queued")
    waits = client.get("/studio/queue").json()["waiting"][0]["waits"]
    assert waits == "Waits for 'a' (training): each has the device to itself."
    studio.drafts.update(draft, things=[{"name": "other", "noun": "dog"}])
    folder = studio.home.runs / answer["id"]
    task = load_task(folder)
    assert isinstance(task, CompareTask)
    assert (task.noun, task.methods, task.seeds, task.asked()) == ("bear", ("lora", "break-a-scene"), 2, STARTER)
    pictures = list_folder(folder / "references")
    assert [p.name for p in pictures] == ["00.png"] and [len(m) for m in find_masks(pictures)] == [1]


@pytest.mark.parametrize(("asked", "said"), [
    ({"methods": ["magic"]}, "no method 'magic'"), ({"methods": []}, "'methods' cannot be ()"),
    ({"preset": "fastest"}, "no preset"), ({"options": {"seeds": 99}}, "'seeds' cannot be 99"),
    ({"options": {"prompts": ["a beach"]}}, "'prompts.0' cannot be a beach"),
    ({"options": {"base": 1}}, "no option 'base'"),
    ({"draft": "0" * 12}, "not here any more"), ({"base": "nowhere"}, "nowhere")])
def test_a_comparison_that_makes_no_sense_is_a_sentence_and_queues_nothing(
        client: TestClient, studio: Studio, draft: str, asked: dict[str, Any], said: str) -> None:
    answer = client.post("/studio/comparisons", json={"draft": draft, "methods": ["lora"], **asked})
    assert answer.status_code == 400 and said in answer.json()["error"]
    assert studio.jobs() == [] and not list(studio.home.runs.iterdir())


def test_a_method_that_needs_masks_is_refused_before_anything_is_trained(
        client: TestClient, studio: Studio, draft: str) -> None:
    studio.drafts.add(draft, "0.png", SAMPLES / "koala" / "0.png")
    answer = client.post("/studio/comparisons", json={"draft": draft, "methods": ["break-a-scene"]})
    assert answer.status_code == 400 and "needs a mask in each picture" in answer.json()["error"]


def test_a_result_is_read_back_with_addresses_of_its_pictures(client: TestClient, studio: Studio, draft: str) -> None:
    run = client.post("/studio/comparisons", json={"draft": draft, "methods": ["lora"]}).json()["id"]
    assert "no result yet; it is queued" in client.get(f"/studio/runs/{run}/result").json()["error"]
    place = studio.home.runs / run / "pictures" / "0123456789ab"
    place.mkdir(parents=True)
    (place / "0000.png").write_bytes((SAMPLES / "koala" / "0.png").read_bytes())
    row = {"method": "lora", "label": "lora", "figures": {"encoder": "e", "identity": 0.5, "prompt": None},
           "seconds": 3.0, "peak_bytes": 5, "file_bytes": 7, "pictures": [str(place / "0000.png")]}
    (studio.home.runs / run / "result.json").write_text(json.dumps([row]))
    told = client.get(f"/studio/runs/{run}/result").json()
    assert (told["kind"], told["encoder"], told["prompts"][0]) == ("compare", "e", STARTER[0])
    (address,) = told["rows"][0]["pictures"]
    assert client.get(address).content == (SAMPLES / "koala" / "0.png").read_bytes()
    for wrong in ("../0000.png", "0123456789ab/config.json", "zz/0000.png"):
        assert client.get(f"/studio/runs/{run}/pictures/{wrong}").status_code in (400, 404)


def test_an_evaluation_needs_an_adapter_and_pictures(client: TestClient, studio: Studio, draft: str,
                                                     adapter: str) -> None:
    answer = client.post("/studio/evaluations", json={"adapter": f"{adapter}:0.8", "draft": draft}).json()
    assert (answer["name"], answer["kind"], answer["state"]) == ("mycat", "evaluate", "queued")
    for asked, said in (({"adapter": "ghost", "draft": draft}, "no adapter 'ghost'"),
                        ({"adapter": adapter}, "either a draft or a training")):
        assert said in client.post("/studio/evaluations", json=asked).json()["error"]


def test_a_training_without_checkpoints_has_none_to_choose_from(client: TestClient, studio: Studio, draft: str) -> None:
    run = client.post("/studio/runs", json={"draft": draft}).json()["id"]
    assert "no checkpoints" in client.post(f"/studio/runs/{run}/recommend").json()["error"]
    assert client.get(f"/studio/runs/{run}/recommended").json() is None


def test_the_chosen_checkpoint_stands_with_its_training(
        client: TestClient, studio: Studio, draft: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = client.post("/studio/runs", json={"draft": draft, "settings": {"steps": 100}}).json()["id"]
    checkpoints = studio.home.runs / run / "checkpoints"
    checkpoints.mkdir()
    for step in (50, 100):
        (checkpoints / f"koala-step{step:08d}.safetensors").write_bytes(b"x")
    job = client.post(f"/studio/runs/{run}/recommend").json()
    assert (job["kind"], job["state"]) == ("recommend", "queued")
    seen = [Checkpoint(s, checkpoints / f"koala-step{s:08d}.safetensors", Score(like, 0.1, 4), Score(prompt, 0.1, 4))
            for s, like, prompt in ((50, 0.75, 0.3), (100, 0.8, 0.2))]
    monkeypatch.setattr("pipelines.lab.recommend.look", lambda *_: [(_[-1]("step"), c)[1] for c in seen])
    monkeypatch.setattr("pipelines.lab.choice.choose_encoders", lambda *_, **__: [type("E", (), {"name": "e"})])
    events: list[dict[str, Any]] = []
    assert lab_child.work(studio.home.runs / job["id"], events.append)
    told = client.get(f"/studio/runs/{run}/recommended").json()
    assert told["step"] == 50 and "follows prompts better" in told["why"] and len(told["checkpoints"]) == 2
    assert [(e["done"], e["total"]) for e in events if e["type"] == "progress"] == [(1, 2), (2, 2)]
    assert (studio.home.runs / run / RECOMMENDED).exists()
    assert client.get(f"/studio/runs/{job['id']}/result").json()["step"] == 50


class Colours:
    """An encoder that sees nothing but the mean colour."""

    name = "colours"

    def images(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        means = [p.convert("RGB").resize((1, 1)).getpixel((0, 0)) for p in pictures]
        return torch.nn.functional.normalize(torch.tensor(means, dtype=torch.float32) + 1, dim=-1)


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is trained and nothing painted: blue with an adapter, red without; the phrases that were asked for."""
    phrases: list[str] = []

    def paint(painter: Any, base: str, use: Sequence[Any], phrase: str, noun: str, plan: Plan, *, offline: bool,
              progress: Any = None) -> Pictures:
        phrases.append(phrase)
        prompts = [p for p in plan.prompts for _ in plan.seeds]
        if progress:
            progress(len(prompts), len(prompts))
        image = Image.new("RGB", (8, 8), (0, 0, 255) if use else (255, 0, 0))
        settings = {"prompt": "", "negative_prompt": "", "steps": 1, "sampler": "DDIM", "guidance": 1.0, "seed": 0,
                    "width": 8, "height": 8, "base": base}
        return Pictures([image] * len(prompts), prompts, prompts, [], [settings] * len(prompts))

    monkeypatch.setattr("pipelines.lab.compare.paint", paint)
    monkeypatch.setattr("pipelines.lab.evaluate.paint", paint)
    monkeypatch.setattr("pipelines.lab.choice.choose_encoders", lambda *_, **__: [Colours()])
    return phrases


def test_a_comparison_holds_each_method_beside_the_base_alone(
        client: TestClient, studio: Studio, draft: str, adapter: str, painted: list[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    def train(folder: Path, cache: Path) -> Cost:
        assert RunConfig.load(folder).training.steps == 7 and list((folder / "references").iterdir())
        return Cost(studio.library.get(adapter).path, 12.0, 5_000_000)

    monkeypatch.setattr("pipelines.lab.compare.train_apart", train)
    options = {"seeds": 2, "prompts": ["{} here", "{} there"]}
    asked = {"draft": draft, "methods": ["lora"], "steps": 7, "options": options}
    run = client.post("/studio/comparisons", json=asked).json()["id"]
    events: list[dict[str, Any]] = []
    assert lab_child.work(studio.home.runs / run, events.append)
    told = client.get(f"/studio/runs/{run}/result").json()
    assert painted == ["bear", "zok cat"] and told["prompts"] == ["{} here", "{} there"]
    assert [(r["label"], r["seconds"], r["peak_bytes"]) for r in told["rows"]] == [
        ("base alone", 0.0, 0), ("lora", 12.0, 5_000_000)]
    assert told["rows"][1]["file_bytes"] == studio.library.get(adapter).path.stat().st_size
    for row, colour in zip(told["rows"], ((255, 0, 0), (0, 0, 255)), strict=True):
        assert len(row["pictures"]) == 2  # one a prompt
        with Image.open(io.BytesIO(client.get(row["pictures"][1]).content)) as picture:
            assert picture.getpixel((0, 0)) == colour
    steps = [(e["done"], e["total"]) for e in events if e["type"] == "progress"]
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_an_evaluations_figures_are_its_result_and_stand_on_the_card(
        client: TestClient, studio: Studio, draft: str, adapter: str, painted: list[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.lab.choice.sample_look_alikes", lambda *_: {})
    run = client.post("/studio/evaluations", json={"adapter": adapter, "draft": draft, "options": {"seeds": 2}}).json()
    assert lab_child.work(studio.home.runs / run["id"], lambda event: None)
    told = client.get(f"/studio/runs/{run['id']}/result").json()
    assert (told["kind"], told["adapter"], told["encoder"], told["images"]) == (
        "evaluate", adapter, "colours", 2 * len(STARTER))
    assert "colours" in (studio.library.folder / f"{adapter}.md").read_text("utf-8")


def test_such_a_job_ends_when_asked_and_those_it_started_with_it(
        studio: Studio, client: TestClient, draft: str) -> None:
    run = client.post("/studio/comparisons", json={"draft": draft, "methods": ["lora"]}).json()["id"]
    folder = studio.home.runs / run
    StopFile(folder).request()
    child = subprocess.Popen([sys.executable, "-m", "app.jobs.worker", str(folder), "compare"], cwd=REPOSITORY,
                             start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    child.wait(60)
    assert read_events(folder)[-1]["state"] == "stopped"
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


def test_a_crash_of_one_is_its_own_and_the_next_starts(studio: Studio, client: TestClient, draft: str) -> None:
    run = client.post("/studio/comparisons", json={"draft": draft, "methods": ["lora"]}).json()["id"]
    studio.store.add("b-1", "b")
    job = studio.store.claim()
    assert job is not None and job.id == run
    studio.supervisor._settle(job, -9)
    ended, following = studio.job(run), studio.store.claim()
    assert ended.state == "interrupted" and "resume goes on" in ended.message
    assert following is not None and following.id == "b-1"
