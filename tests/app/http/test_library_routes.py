"""The library over HTTP, as the Library room uses it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from safetensors.torch import save_file

from adapters.record import HEADER_KEY, AdapterRecord
from adapters.studio_file import save
from adapters.tokens import TokensAdapter
from app.http import library_routes
from app.library import intake
from app.studio import Studio
from app.verbs.cli import build_parser, main

WIDTH = 768  # of the text encoder of Stable Diffusion 1


def word_file(path: Path, record: AdapterRecord, value: float = 1.0, **changed: Any) -> Path:
    """A learned word for Stable Diffusion 1 as a studio file."""
    adapter = TokensAdapter({"<mycat>": [torch.full((2, WIDTH), value)]})
    base = record.base.model_copy(update={"family": "sd1", "name": "v1-5"})
    save(path, adapter, record.model_copy(update={
        "kind": "tokens", "method": "textual-inversion", "spec": adapter.spec, "trigger": "<mycat>", "base": base,
        "provenance": {"images_sha256": ["a" * 64], "created": "2026-01-02", "config": {"steps": 4, "seed": 7}}}
        | changed))
    return path


@pytest.fixture
def word(tmp_path: Path, record: AdapterRecord) -> bytes:
    return word_file(tmp_path / "word.safetensors", record).read_bytes()


def send(client: TestClient, data: bytes, file: str = "mycat.safetensors", status: int = 200) -> dict[str, Any]:
    answer = client.post("/studio/library", params={"file": file}, content=data)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_file_is_brought_in_changed_put_away_and_back(client: TestClient, studio: Studio, word: bytes) -> None:
    assert send(client, word)["name"] == "mycat"
    at = "/studio/library/mycat"
    changed = client.patch(at, json={"name": "tom", "tags": ["pets"], "notes": "fond of fish"}).json()
    assert (changed["name"], changed["tags"], changed["notes"]) == ("tom", ["pets"], "fond of fish")
    assert client.get(at).status_code == 400
    card = client.get("/studio/library/tom/card")
    assert card.headers["content-type"].startswith("text/plain") and "# tom" in card.text
    gone = client.delete("/studio/library/tom").json()
    assert client.get("/studio/library").json()["all"] == 0
    assert [d["name"] for d in client.get("/studio/trash").json()] == ["tom"]
    assert client.post(f"/studio/library/{gone['id']}/restore").json()["tags"] == ["pets"]
    assert list(studio.home.temporary.iterdir()) == []


def test_it_says_where_it_came_from(client: TestClient, studio: Studio, tmp_path: Path, record: AdapterRecord) -> None:
    studio.store.add("20260101-mycat", "mycat")
    provenance = {"run": "20260101-mycat", "images_sha256": ["a" * 64, "b" * 64], "config": {"steps": 4}}
    word_file(studio.library.folder / "mycat.safetensors", record, provenance=provenance)
    found = client.get("/studio/library/mycat").json()["origin"]
    assert (found["run"], found["run_state"], found["references"]) == ("20260101-mycat", "queued", 2)
    assert found["base"]["name"] == "v1-5" and found["settings"] == {"steps": "4"}
    save_file({"clip_l": torch.ones(2, 768), "clip_g": torch.ones(2, 1280)}, tmp_path / "style.safetensors")
    send(client, (tmp_path / "style.safetensors").read_bytes(), "My Style.safetensors")
    found = client.get("/studio/library/My-Style").json()["origin"]
    assert (found["imported_from"], found["references"], found["run"]) == ("My-Style.safetensors", 0, "")


def test_the_list_comes_by_pages(client: TestClient, word: bytes) -> None:
    for name in ("ann", "bob", "cleo"):
        send(client, word)
        client.patch("/studio/library/mycat", json={"name": name, "tags": ["pets", name]})
    page = client.get("/studio/library", params={"order": "name", "offset": 1, "limit": 1, "tag": "pets"}).json()
    assert ([e["name"] for e in page["entries"]], page["total"], page["all"]) == (["bob"], 3, 3)
    assert next(iter(page["tags"].items())) == ("pets", 3)
    found = client.get("/studio/library", params={"search": "CLEO textual v1-5"}).json()
    assert [e["name"] for e in found["entries"]] == ["cleo"] and found["total"] == 1
    assert "no order" in client.get("/studio/library", params={"order": "x"}).json()["error"]


def test_an_export_is_checked_before_it_is_downloaded(client: TestClient, studio: Studio, word: bytes) -> None:
    send(client, word)
    report = client.post("/studio/library/mycat/export/a1111", json={}).json()
    assert (report["matched"], report["unmatched"], report["files"][0]["file"]) == (1, [], "mycat.safetensors")
    assert str(studio.home.root) not in json.dumps(report)
    got = client.get(f"/studio/exports/{report['id']}")
    assert got.status_code == 200 and len(got.content) == report["bytes"]
    assert "mycat.safetensors" in got.headers["content-disposition"]
    for id in ("0" * 28, "..", "%2e%2e"):
        assert client.get(f"/studio/exports/{id}").status_code in (400, 404)
    assert "not be written as kohya" in client.post("/studio/library/mycat/export/kohya", json={}).json()["error"]


def test_what_only_comes_near_is_made_by_a_process_of_its_own(client: TestClient, studio: Studio,
                                                               record: AdapterRecord,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    perfusion = record.model_copy(update={"kind": "perfusion", "name": "p"})
    save_file({"x": torch.ones(1)}, studio.library.folder / "p.safetensors", perfusion.to_metadata())
    asked: list[Any] = []

    def run(arguments: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        options = build_parser().parse_args(arguments[3:])
        asked.append((options.verb, options.name, options.format, options.approximate, options.home, options.offline))
        options.out.write_bytes(b"near")
        report = {"files": [{"file": str(options.out)}], "file": str(options.out), "notes": ["off by 5%"]}
        return subprocess.CompletedProcess(arguments, 0, f"{json.dumps(report)}\n", "")

    monkeypatch.setattr("app.library.exports.subprocess.run", run)
    studio.set_offline(True)
    report = client.post("/studio/library/p/export/kohya", json={"approximate": True, "rank": 8}).json()
    assert asked == [("export", "p", "kohya", 8, str(studio.home.root), True)]
    assert report["notes"] == ["off by 5%"] and client.get(f"/studio/exports/{report['id']}").content == b"near"
    assert "gate" in client.post("/studio/library/p/export/kohya", json={}).json()["error"] and len(asked) == 1


@pytest.mark.parametrize(("file", "data", "says"), [
    ("x.exe", b"MZ", "does not end in"), ("x.safetensors", b"", "does not begin with"),
    ("x.safetensors", b"\xff" * 64, "does not begin with"),
    ("x.safetensors", (2).to_bytes(8, "little") + b"[]  ", "not a table"),
    ("../../x.pt", b"\x80\x04no", "'x.pt'")])
def test_a_file_that_is_none_is_a_sentence_and_leaves_nothing(client: TestClient, studio: Studio, file: str,
                                                              data: bytes, says: str) -> None:
    assert says in send(client, data, file, 400)["error"]
    assert list(studio.home.temporary.iterdir()) == [] == list(studio.library.folder.iterdir())


def test_the_header_is_looked_at_before_the_rest_is_kept(tmp_path: Path, word: bytes) -> None:
    from adapters.errors import StudioError

    def refuse(_: object) -> None:
        raise StudioError("no")

    length = 8 + int.from_bytes(word[:8], "little")
    coming = intake.Intake(tmp_path / "x.safetensors", len(word), refuse)
    coming.take(word[:length - 1])
    with pytest.raises(StudioError, match="no"):
        coming.take(word[length - 1:length])
    coming.close()
    whole = intake.Intake(tmp_path / "y.safetensors", len(word), lambda header: header)
    for n in range(0, len(word), 5):
        whole.take(word[n:n + 5])
    whole.finish()
    assert (tmp_path / "y.safetensors").read_bytes() == word


def test_too_large_a_file_is_refused(client: TestClient, word: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_routes, "MOST_ADAPTER", 10)
    assert "are the most here" in send(client, word, status=400)["error"]


def test_one_strangers_file_hides_no_other(client: TestClient, studio: Studio, word: bytes,
                                           record: AdapterRecord) -> None:
    send(client, word)
    odd = {**record.model_dump(), "name": "odd", "provenance": {
        "created": float("nan"), "run": "\ud800", "config": {"a": float("inf")}, "images_sha256": [{}], "file": "<b>"}}
    save_file({"x": torch.ones(1)}, studio.library.folder / "odd.safetensors", {HEADER_KEY: json.dumps(odd)})
    assert {e["name"] for e in client.get("/studio/library").json()["entries"]} == {"mycat", "odd"}
    assert client.get("/studio/library/odd").json()["origin"]["imported_from"] == "<b>"


@pytest.mark.parametrize("fields", [{"name": ["x"]}, {"name": "a/b"}, {"tags": "pets"}, {"notes": "x" * 4001},
                                    {"kind": "lora"}, {"tags": ["ok"], "name": ""}])
def test_what_makes_no_sense_is_a_sentence_and_changes_nothing(client: TestClient, word: bytes,
                                                               fields: dict[str, Any]) -> None:
    send(client, word)
    answer = client.patch("/studio/library/mycat", json=fields)
    assert answer.status_code == 400 and answer.json()["error"]
    assert client.get("/studio/library/mycat").json()["tags"] == []


def test_the_command_line_renames_tags_and_brings_back(client: TestClient, studio: Studio, word: bytes,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    send(client, word)

    def run(*arguments: str) -> dict[str, Any]:
        assert main([*arguments, "--json", "--home", str(studio.home.root)]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return found

    assert run("rename", "mycat", "tom")["name"] == "tom"
    assert run("tag", "tom", "pets", "soft fur")["tags"] == ["pets", "soft fur"]
    assert [e["name"] for e in run("list", "--search", "soft TOM")["adapters"]] == ["tom"]
    assert run("list", "--search", "dog")["adapters"] == []
    gone = run("delete", "tom")["id"]
    assert [d["id"] for d in run("trash")["deleted"]] == [gone]
    assert run("restore", gone)["tags"] == ["pets", "soft fur"]
