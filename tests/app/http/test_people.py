"""A person is learned only with consent; what is revoked or erased is gone everywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.record import AdapterRecord
from adapters.studio_file import save
from app.studio import Studio
from pipelines.image_file import UsedAdapter, save_png
from pipelines.run_config import RunConfig
from pipelines.shipped import SAMPLES

STATEMENT = {"who": "Ada", "scope": "a birthday card", "by": "Ada", "date": "2026-05-01"}


def draft_of(client: TestClient, *pictures: int, kind: str = "person", name: str = "ada") -> str:
    id: str = client.post("/studio/drafts").json()["id"]
    client.patch(f"/studio/drafts/{id}", json={"things": [{"name": name, "noun": "bear", "kind": kind}]})
    add(client, id, *pictures)
    return id


def add(client: TestClient, id: str, *pictures: int) -> None:
    for n in pictures:
        data = (SAMPLES / "koala" / f"{n}.png").read_bytes()
        client.post(f"/studio/drafts/{id}/pictures", files={"files": (f"{n}.png", data)})


def start(client: TestClient, draft: str, path: str = "/studio/runs") -> Any:
    return client.post(path, json={"draft": draft})


@pytest.mark.parametrize("path", ["/studio/runs", "/studio/runs/preflight"])
def test_a_person_without_consent_is_not_learned(client: TestClient, studio: Studio, path: str) -> None:
    answer = start(client, draft_of(client, 0, 1), path)
    assert answer.status_code == 400 and "only with their consent, and 2 of 2 pictures" in answer.json()["error"]
    assert studio.jobs() == [] and not list(studio.home.runs.iterdir())


def test_with_consent_the_run_says_under_which_statement(client: TestClient, studio: Studio) -> None:
    draft = draft_of(client, 0, 1)
    assert client.get(f"/studio/drafts/{draft}/consent").json() == {"statement": None, "missing": 2, "pictures": 2}
    given = client.post("/studio/consents", json={"draft": draft, **STATEMENT}).json()
    config = RunConfig.load(studio.home.runs / start(client, draft).json()["id"])
    assert (config.consent, config.draft, config.concepts[0].kind) == (given["id"], draft, "person")
    assert client.get(f"/studio/drafts/{draft}/consent").json()["statement"]["id"] == given["id"]


def test_a_picture_that_came_later_is_not_covered(client: TestClient) -> None:
    draft = draft_of(client, 0)
    client.post("/studio/consents", json={"draft": draft, **STATEMENT})
    add(client, draft, 1)
    assert "1 of 2 pictures" in start(client, draft).json()["error"]


@pytest.mark.parametrize("begin", [
    lambda studio, draft: studio.teach(draft), lambda studio, draft: studio.preflight(draft),
    lambda studio, draft: studio.lab.compare(draft, ["lora"]),
    lambda studio, draft: studio.lab.evaluate("bob", draft=draft, base="starter")])
def test_a_picture_that_comes_between_the_consent_and_the_copy_is_not_covered(
        client: TestClient, studio: Studio, host: Host, record: AdapterRecord, monkeypatch: pytest.MonkeyPatch,
        begin: Any) -> None:
    in_library(studio, host, record, "bob", {})
    draft = draft_of(client, 0)
    client.post("/studio/consents", json={"draft": draft, **STATEMENT})
    look = studio.consents.for_draft

    def look_too_early(found: Any) -> str:
        statement = look(found)
        add(client, draft, 1)
        return statement

    monkeypatch.setattr(studio.consents, "for_draft", look_too_early)
    with pytest.raises(StudioError, match="only with their consent, and 1 of 2 pictures have no statement"):
        begin(studio, draft)
    assert studio.jobs() == [] and not list(studio.home.runs.iterdir())


def test_things_need_no_consent_and_unknown_kinds_are_refused(client: TestClient, studio: Studio) -> None:
    draft = draft_of(client, 0, kind="animal")
    run = start(client, draft).json()["id"]
    assert RunConfig.load(studio.home.runs / run).concepts[0].kind == "animal"
    answer = client.patch(f"/studio/drafts/{draft}", json={"things": [{"name": "a", "noun": "b", "kind": "ghost"}]})
    assert answer.status_code == 400


def test_on_the_command_line_the_files_themselves_are_covered(studio: Studio) -> None:
    from adapters.files import sha256

    pictures = [SAMPLES / "koala" / f"{n}.png" for n in range(2)]
    with pytest.raises(StudioError, match="2 of 2 pictures have no statement"):
        studio.prepare_run(pictures, "ada", "bear", kinds=["person"])
    assert not list(studio.home.runs.iterdir())
    given = studio.consents.give(images=[sha256(p) for p in pictures], **STATEMENT)
    assert RunConfig.load(studio.prepare_run(pictures, "ada", "bear", kinds=["person"])).consent == given.id
    with pytest.raises(StudioError, match="not 'ghost'"):
        studio.prepare_run(pictures, "other", "bear", kinds=["ghost"])


@pytest.fixture
def made(client: TestClient, studio: Studio, host: Host, record: AdapterRecord) -> tuple[str, str]:
    """A draft and a statement; an adapter, a training, an evaluation and pictures under it, and others beside them."""
    draft = draft_of(client, 0, 1)
    consent = client.post("/studio/consents", json={"draft": draft, **STATEMENT}).json()["id"]
    run = start(client, draft).json()["id"]
    studio.store.cancel(run)
    for name, told in (("ada", {"consent": consent, "run": run}), ("bob", {})):
        in_library(studio, host, record, name, told)
    shutil.copytree(studio.home.runs / run, studio.home.trash / "runs" / "older")
    studio.library.delete("ada")
    studio.library.restore(studio.library.deleted()[0].id)
    shutil.copyfile(studio.home.adapters / "ada.safetensors", grave(studio) / "ada.safetensors")
    for number, used in enumerate((["ada"], ["bob"], [], ["bob", "ada"])):
        painting(studio.home.images / f"20260101-000000-00000{number}-0.png", used)
    painting(studio.home.trash / "images" / "20260101-000000-000009-0.png", ["ada"])
    job = studio.home.runs / "evaluated"
    job.mkdir()
    (job / "task.json").write_text(json.dumps({"kind": "evaluate", "adapter": "ada:1", "consent": consent}))
    return draft, consent


def in_library(studio: Studio, host: Host, record: AdapterRecord, name: str, told: dict[str, Any]) -> None:
    adapter = LoraAdapter.for_training(host, rank=2, alpha=2, targets=("to_q",))
    adapter.inject(host, f"adapter_{name}")
    save(studio.home.adapters / f"{name}.safetensors", adapter,
         record.model_copy(update={"name": name, "provenance": told}))
    adapter.eject()
    studio.library.complete(studio.home.adapters / f"{name}.safetensors")


def grave(studio: Studio) -> Path:
    found = studio.home.trash / "20260101-000000-ada"
    found.mkdir(parents=True)
    return found


def painting(path: Path, used: Sequence[str]) -> None:
    settings = {"prompt": "a", "negative_prompt": "", "steps": 1, "sampler": "DDIM", "guidance": 1.0, "seed": 0,
                "width": 8, "height": 8, "base": "starter"}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_png(Image.new("RGB", (8, 8)), path, settings, [UsedAdapter(u, 1.0) for u in used])


def left(studio: Studio) -> list[str]:
    """What of the data folder is still about ada or shows her pictures."""
    root = studio.home.root
    found = [str(p.relative_to(root)) for p in root.rglob("*") if "ada" in p.name and p.is_file()]
    found += [str(p.relative_to(root)) for p in (*studio.home.runs.iterdir(), *(studio.home.trash / "runs").glob("*"))]
    found += [str(p.relative_to(root)) for p in studio.home.drafts.glob("*/*/*") if p.is_file()]
    return found


def test_revoking_removes_everything_made_under_it_and_leaves_a_record(client: TestClient, studio: Studio,
                                                                       made: tuple[str, str]) -> None:
    draft, consent = made
    closed = client.post(f"/studio/consents/{consent}/revoke").json()
    assert closed["revoked"] and left(studio) == []
    assert [e.name for e in studio.library.entries()] == ["bob"]
    assert sorted(p.name[16:22] for p in studio.home.images.glob("*.png")) == ["000001", "000002"]
    assert not list((studio.home.trash / "images").glob("*.png"))
    assert client.get(f"/studio/drafts/{draft}").json()["shots"] == []
    said = "\n".join(closed["removed"])
    for what in ("adapter ada (SHA-256", "training ada-", "evaluate evaluated", "2 pictures of draft", "-000003-0.png"):
        assert what in said, what
    add(client, draft, 0)
    assert start(client, draft).status_code == 400  # it counts no more


def test_erasing_a_concept_takes_all_of_it_and_nothing_else(client: TestClient, studio: Studio,
                                                            made: tuple[str, str]) -> None:
    other = draft_of(client, 2, kind="animal", name="bob")
    removed = client.post("/studio/concepts/Ada/erase").json()["removed"]
    assert removed and studio.home.drafts.joinpath(other).is_dir() and not studio.home.drafts.joinpath(made[0]).exists()
    assert [e.name for e in studio.library.entries()] == ["bob"]
    assert len(list(studio.home.images.glob("*.png"))) == 2
    again = client.post("/studio/concepts/ada/erase")
    assert again.status_code == 400 and "nothing called 'ada'" in again.json()["error"]


def test_nothing_is_erased_while_a_training_of_it_waits(client: TestClient, studio: Studio,
                                                        made: tuple[str, str]) -> None:
    run = next(j.id for j in studio.jobs())
    assert studio.store.requeue(run)
    for path in (f"/studio/consents/{made[1]}/revoke", "/studio/concepts/ada/erase"):
        answer = client.post(path)
        assert answer.status_code == 400 and "stop it first" in answer.json()["error"]
    assert studio.library.has("ada") and studio.consents.get(made[1]).revoked is None
