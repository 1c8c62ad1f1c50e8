"""What is shared is shared on purpose, as it is, and for as long as its owner wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from safetensors.numpy import save_file

from app.accounts.people import People
from app.errors import Missing
from app.studio import Studio
from app.verbs.cli import main
from pipelines.shipped import SAMPLES
from tests.app.people import PASSWORD, logged_in, shared_app, two_people
from tests.faults.test_people import adapter_file, studio_of

CALLED = "mycat@alice"


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    made = two_people(tmp_path / "home", monkeypatch)
    made.register.accounts.add("carol", PASSWORD)
    library = studio_of(made, "alice").library
    library.add(adapter_file(tmp_path / "a.safetensors", "mycat"), "mycat", SAMPLES / "koala" / "0.png")
    library.remark("mycat", notes="for nobody else")
    return made


@pytest.fixture
def app(people: People) -> FastAPI:
    return shared_app(people)


@pytest.fixture
def alice(app: FastAPI) -> TestClient:
    return logged_in(app, "alice")


def seen(app: FastAPI, name: str) -> list[str]:
    client = logged_in(app, name)
    told = client.get("/studio/shared")
    assert "for nobody else" not in told.text
    chosen = [a["name"] for a in client.get("/studio/images/choices").json()["adapters"]]
    assert chosen == [s["called"] for s in told.json()]
    return chosen


def lent(people: People, name: str) -> Path | None:
    studio: Studio = studio_of(people, name)
    try:
        return studio.adapter_file(CALLED)
    except Missing as error:
        assert "is shared with you" in str(error)
        return None


def test_what_is_erased_is_shared_with_nobody_any_more(people: People, app: FastAPI, alice: TestClient) -> None:
    for to in ("bob", ""):
        alice.post("/studio/library/mycat/share", json={"to": to}).raise_for_status()
    assert "share of mycat" in alice.post("/studio/concepts/MyCat/erase").json()["removed"]
    assert alice.get("/studio/shares").json() == [] and seen(app, "bob") == []


def test_one_person_gets_it_and_others_do_not_until_it_is_taken_back(people: People, app: FastAPI,
                                                                    alice: TestClient) -> None:
    assert seen(app, "bob") == [] and lent(people, "bob") is None
    answer = alice.post("/studio/library/mycat/share", json={"to": "bob"})
    assert answer.json() == {"adapter": "mycat", "to": "bob", "called": CALLED}
    assert seen(app, "bob") == [CALLED] and lent(people, "bob") == studio_of(people, "alice").library.get("mycat").path
    assert seen(app, "carol") == [] and lent(people, "carol") is None
    bob = logged_in(app, "bob")
    assert bob.get(f"/studio/shared/{CALLED}/preview").status_code == 200
    assert logged_in(app, "carol").get(f"/studio/shared/{CALLED}/preview").status_code == 404
    for method, path in (("PATCH", "/studio/library/mycat"), ("DELETE", "/studio/library/mycat"),
                         ("POST", "/studio/library/mycat/unshare")):
        assert bob.request(method, path, json={"tags": ["his"]}).status_code == 404  # to paint with, no more
    assert alice.get("/studio/shares").json() == [{"adapter": "mycat", "to": "bob"}]
    assert alice.post("/studio/library/mycat/unshare", json={"to": "bob"}).status_code == 200
    assert seen(app, "bob") == [] and lent(people, "bob") is None
    assert alice.post("/studio/library/mycat/unshare", json={"to": "bob"}).status_code == 404


def test_everyone_is_everyone_and_the_command_line_does_the_same(people: People, app: FastAPI) -> None:
    home = ["--home", str(people.home.root)]
    assert main(["share", "mycat", "--owner", "alice", *home]) == 0
    assert seen(app, "bob") == seen(app, "carol") == [CALLED] and lent(people, "alice") is None
    assert main(["unshare", "mycat", "--owner", "alice", *home]) == 0
    assert seen(app, "bob") == []


def test_what_takes_its_place_is_not_shared(people: People, app: FastAPI, alice: TestClient, tmp_path: Path) -> None:
    alice.post("/studio/library/mycat/share", json={})
    library = studio_of(people, "alice").library
    gone = library.delete("mycat")
    assert lent(people, "bob") is None
    library.add(adapter_file(tmp_path / "b.safetensors", "mycat"), "mycat")
    assert lent(people, "bob") is None and seen(app, "bob") == []
    library.delete("mycat")
    library.restore(gone.name)
    assert lent(people, "bob") is not None
    people.register.remove("alice")
    assert lent(people, "bob") is None


def test_a_person_is_never_shared(people: People, alice: TestClient, tmp_path: Path) -> None:
    file = adapter_file(tmp_path / "p.safetensors", "ada", "person")
    studio_of(people, "alice").library.add(file, "ada")
    answer = alice.post("/studio/library/ada/share", json={"to": "bob"})
    assert answer.status_code == 400 and "shows a person" in answer.json()["error"]


def test_nobody_shares_with_nobody_or_with_themselves(alice: TestClient) -> None:
    assert alice.post("/studio/library/mycat/share", json={"to": "ghost"}).status_code == 404
    assert alice.post("/studio/library/mycat/share", json={"to": "alice"}).status_code == 400


def test_exports_count_among_what_a_person_has(people: People, alice: TestClient) -> None:
    whole = studio_of(people, "alice").library.get("mycat")
    save_file({"a": np.zeros((500, 1000), np.float32)}, whole.path, metadata=whole.record.to_metadata())
    people.register.accounts.set_quota("alice", disk_gb=0.003)
    for ask in (lambda: alice.get("/studio/library/mycat/export/studio"),
                lambda: alice.post("/studio/library/mycat/export/studio", json={})):
        told = ask()
        assert told.status_code == 413 and told.json()["error"].startswith("Your 0.003 GB are used up"), told.text
    assert not [p for p in studio_of(people, "alice").home.temporary.rglob("*") if p.is_file()]
