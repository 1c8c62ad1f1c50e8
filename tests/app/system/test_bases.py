"""Bases: added by path, by upload and from a hub that this test is; kept, listed, taken out."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from huggingface_hub import constants
from safetensors.torch import save, save_file

from adapters.errors import StudioError
from app.home import Home
from app.http import system_routes
from app.studio import Studio
from app.system import downloads
from app.system.bases import Bases
from pipelines.base_models import hub as hub_module
from pipelines.base_models.families import find_family
from pipelines.base_models.hub import PATTERNS, download, fetch
from pipelines.base_models.locate import locate
from pipelines.helpers import Helper
from pipelines.shipped import ASSETS, SAMPLES

ATTENTION = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
COMMIT = "0" * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A diffusers folder of Stable Diffusion 1's configurations with next to no weights."""
    path = tmp_path / "tiny"
    shutil.copytree(ASSETS / "sd1", path)
    save_file({"x": torch.zeros(50_000)}, path / "unet" / "diffusion_pytorch_model.safetensors")
    return path


def checkpoint(width: int = 768) -> bytes:
    return save({ATTENTION: torch.zeros(4, width)})


def test_a_folder_and_a_file_are_listed_with_family_size_and_licence(client: TestClient, folder: Path,
                                                                     tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(checkpoint())
    for path in (folder, tmp_path / "model.safetensors", folder):
        assert client.post("/studio/bases", json={"spec": str(path)}).status_code == 200
    starter, first, second = client.get("/studio/bases").json()
    assert starter["spec"] == "starter" and starter["bytes"] > 10_000_000 and not starter["problem"]
    assert (first["name"], first["form"], first["family"], first["spec"]) == ("tiny", "folder", "sd1", str(folder))
    assert first["bytes"] > 200_000
    for base in (first, second):  # neither says what its own is
        assert (base["licence"], base["family_licence"]) == ("", "creativeml-openrail-m")
    assert starter["licence"] == starter["family_licence"] == "apache-2.0"
    assert (second["name"], second["form"], second["problem"]) == ("model", "file", "")


def test_an_older_list_does_not_give_a_folder_its_familys_licence(client: TestClient, studio: Studio, folder: Path
                                                                  ) -> None:
    studio.home.base_list.write_text(json.dumps([{
        "spec": str(folder), "name": "tiny", "form": "folder", "family": "sd1", "licence": "creativeml-openrail-m"}]))
    told = client.get("/studio/bases").json()[1]
    assert (told["licence"], told["family_licence"]) == ("", "creativeml-openrail-m")


def test_a_base_that_went_away_says_so_and_is_kept_in_the_list(client: TestClient, folder: Path) -> None:
    id = client.post("/studio/bases", json={"spec": str(folder)}).json()["id"]
    shutil.rmtree(folder)
    assert "No base model at" in client.get("/studio/bases").json()[1]["problem"]
    assert client.delete(f"/studio/bases/{id}").status_code == 200
    assert [b["spec"] for b in client.get("/studio/bases").json()] == ["starter"]


@pytest.mark.parametrize("spec", ["", "/nowhere", "no such/thing/at all", "someone/never-downloaded"])
def test_what_is_no_base_here_is_a_sentence(client: TestClient, spec: str) -> None:
    answer = client.post("/studio/bases", json={"spec": spec})
    assert answer.status_code == 400 and answer.json()["error"]
    assert len(client.get("/studio/bases").json()) == 1


def test_an_uploaded_base_is_kept_and_its_removal_is_no_loss(client: TestClient, studio: Studio) -> None:
    made = [client.post("/studio/bases/upload", params={"file": "My Model.safetensors"}, content=checkpoint()).json()
            for _ in range(2)]
    assert [Path(b["spec"]) for b in made] == [studio.home.bases / f"My-Model{n}.safetensors" for n in ("", "-2")]
    assert list(studio.home.temporary.iterdir()) == []
    client.delete(f"/studio/bases/{made[0]['id']}")
    assert not Path(made[0]["spec"]).exists() and Path(made[1]["spec"]).exists()
    (kept,) = (studio.home.trash / "bases").rglob("*.safetensors")
    assert kept.read_bytes() == checkpoint()
    assert "cannot be taken out" in client.delete(f"/studio/bases/{client.get('/studio/bases').json()[0]['id']}").text


@pytest.mark.parametrize(("data", "says"), [
    (save({"lora_unet_x.lora_up.weight": torch.zeros(1)}), "is a LoRA"), (b"\xff" * 40, "safetensors header"),
    (save({"x": torch.zeros(1)}), "no Stable Diffusion checkpoint"), (checkpoint(999), "unknown family"),
    (checkpoint()[:-4], "bytes of tensors")])
def test_an_upload_that_is_no_base_is_refused_by_its_header(client: TestClient, studio: Studio, data: bytes,
                                                            says: str) -> None:
    answer = client.post("/studio/bases/upload", params={"file": "x.safetensors"}, content=data)
    assert answer.status_code == 400 and says in answer.json()["error"] and "x.safetensors" in answer.json()["error"]
    assert not studio.home.bases.exists() and list(studio.home.temporary.iterdir()) == []


def test_a_damaged_list_is_never_written_over(tmp_path: Path, folder: Path) -> None:
    home = Home.open(str(tmp_path / "home"))
    home.base_list.write_text("{half", "utf-8")
    with pytest.raises(StudioError, match="damaged"):
        Bases(home).add(str(folder))
    assert home.base_list.read_text("utf-8") == "{half"


class Hub(ThreadingHTTPServer):
    """A model hub of one model, `someone/tiny`, whose large file waits for `go`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        self.go, self.asked, self.cut = threading.Event(), threading.Event(), False
        self.requests: list[str] = []


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append(path)
        if path.startswith("/api/models/someone/tiny"):
            listed = [{"type": "file", "path": f, "rfilename": f, "size": len(b), "oid": hashlib.sha1(b).hexdigest()}
                      for f, b in self.server.files.items()]
            self.give(json.dumps(listed if "/tree/" in path else {
                "id": "someone/tiny", "sha": COMMIT, "siblings": listed, "gated": False,
                "cardData": {"license": "openrail++", "license_link": "LICENSE.md"}}).encode(), "application/json")
        elif (file := path.removeprefix(f"/someone/tiny/resolve/{COMMIT}/")) in self.server.files:
            if self.command == "GET" and file.endswith(".safetensors"):
                if self.server.cut:
                    self.close_connection = True
                    return
                self.server.asked.set()
                self.server.go.wait(20)
            self.give(self.server.files[file], "application/octet-stream")
        else:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def give(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), "X-Repo-Commit": COMMIT,
                            "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address, cache = f"http://127.0.0.1:{server.server_port}", tmp_path / "cache"
    for name, value in {"HF_ENDPOINT": address, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": "1"}.items():
        monkeypatch.setenv(name, value)  # for the child
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield server
    server.go.set()
    server.shutdown()


def _state(client: TestClient, state: str) -> dict[str, Any]:
    for _ in range(300):
        (found,) = client.get("/studio/downloads").json()
        if found["state"] == state:
            return dict(found)
        time.sleep(0.1)
    raise AssertionError(found)


def test_a_hub_model_tells_its_licence_is_downloaded_and_listed(client: TestClient, hub: Hub) -> None:
    told = client.post("/studio/hub", json={"id": "someone/tiny"}).json()
    assert (told["licence"], told["licence_link"], told["gated"]) == ("openrail++", "LICENSE.md", False)
    assert told["bytes"] > 200_000
    hub.go.set()
    assert client.post("/studio/downloads", json={"id": "someone/tiny"}).json()["state"] == "running"
    ended = _state(client, "finished")
    assert ended["done"] == ended["total"] == told["bytes"]
    base = client.get("/studio/bases").json()[1]
    assert (base["spec"], base["form"], base["family"], base["licence"], base["problem"]) == (
        "someone/tiny", "hub", "sd1", "openrail++", "")


def test_of_a_base_that_is_here_the_hub_is_asked_nothing(client: TestClient, hub: Hub) -> None:
    hub.go.set()
    folder = download("someone/tiny", PATTERNS)
    assert hub.requests
    hub.requests.clear()
    for offline in (False, True):
        assert fetch("someone/tiny", offline, PATTERNS) == folder
        assert find_family(locate("someone/tiny"), offline=offline) == "sd1"
    assert client.get("/studio/methods/lora/settings", params={"base": "someone/tiny"}).status_code == 200
    assert hub.requests == []
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert fetch("someone/tiny", False, PATTERNS) == folder and hub.requests  # the command line fetches what is missing


def test_a_cache_that_has_the_configurations_alone_is_not_the_model(hub: Hub, tmp_path: Path) -> None:
    hub.go.set()
    fetch("someone/tiny", False, ("model_index.json", "*/config.json"))
    shutil.rmtree(next((tmp_path / "cache").rglob("trees")))  # as caches were before they kept the hub's list
    assert find_family(locate("someone/tiny"), offline=True) == "sd1"
    with pytest.raises(StudioError, match="add it under System first"):
        fetch("someone/tiny", True, PATTERNS)


def test_the_browser_never_downloads_a_base_that_system_did_not(client: TestClient, studio: Studio, hub: Hub) -> None:
    draft = client.post("/studio/drafts").json()["id"]
    client.patch(f"/studio/drafts/{draft}", json={"things": [{"name": "mykoala", "noun": "bear"}]})
    koala = (SAMPLES / "koala" / "0.png").read_bytes()
    client.post(f"/studio/drafts/{draft}/pictures", files={"files": ("0.png", koala)})
    start = {"draft": draft, "base": "someone/tiny"}
    for answer in (client.get("/studio/methods/lora/settings", params={"base": "someone/tiny"}),
                   client.post("/studio/runs", json=start), client.post("/studio/runs/preflight", json=start),
                   client.post("/studio/comparisons", json=start | {"methods": ["lora"]})):
        assert answer.status_code == 400 and "add it under System first" in answer.json()["error"]
    assert hub.requests == [] and studio.jobs() == []
    assert studio.stays and not Studio(studio.home, fetches=True).stays
    assert Studio(studio.home, fetches=True, offline=True).stays


def test_a_download_that_is_cancelled_ends_and_lists_nothing(client: TestClient, studio: Studio, hub: Hub) -> None:
    client.post("/studio/downloads", json={"id": "someone/tiny"})
    assert hub.asked.wait(30)
    assert client.post("/studio/downloads/cancel", json={"id": "someone/tiny"}).json()["state"] == "cancelled"
    assert studio.downloads._known["someone/tiny"].process.wait(10) != 0
    time.sleep(0.2)
    assert _state(client, "cancelled") and len(client.get("/studio/bases").json()) == 1


def test_a_connection_that_breaks_off_is_a_sentence(client: TestClient, hub: Hub) -> None:
    hub.cut = True
    client.post("/studio/downloads", json={"id": "someone/tiny"})
    assert "broke off" in _state(client, "failed")["message"]
    assert len(client.get("/studio/bases").json()) == 1


def test_a_model_that_is_not_there_is_a_sentence(client: TestClient, hub: Hub) -> None:
    for answer in (client.post("/studio/hub", json={"id": "someone/else"}),
                   client.post("/studio/downloads", json={"id": "someone/else"})):
        assert answer.status_code == 400 and "HTTP 404" in answer.json()["error"]
    assert "no hub id" in client.post("/studio/downloads", json={"id": "starter"}).json()["error"]


def _help(hub: Hub, monkeypatch: pytest.MonkeyPatch, **files: bytes) -> Helper:
    """A helper on that hub, which has a base's files too."""
    helper = Helper("someone/tiny", "Tiny", "Helps.", "mit", 5, ("model.safetensors", "pytorch_model.bin"))
    hub.files |= {"config.json": b"{}", "vocab.txt": b"a", "other.msgpack": bytes(9), **files}
    for module in (system_routes, downloads, hub_module):
        monkeypatch.setattr(module, "HELPERS", {helper.id: helper})
    return helper


def test_a_helper_is_downloaded_with_its_weights_alone_and_is_no_base(client: TestClient, hub: Hub,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    helper = _help(hub, monkeypatch, **{"model.safetensors": bytes(70_000), "pytorch_model.bin": bytes(80_000)})
    (told,) = client.get("/studio/helpers").json()
    assert (told["id"], told["here"], told["bytes"], told["licence"]) == (helper.id, False, 5, "mit")
    small = sum(len(b) for f, b in hub.files.items() if "/" not in f and f.endswith((".json", ".txt")))
    assert client.post("/studio/hub", json={"id": helper.id}).json()["bytes"] == 70_000 + small
    hub.go.set()
    assert client.post("/studio/downloads", json={"id": helper.id}).json()["helper"] is True
    _state(client, "finished")
    (told,) = client.get("/studio/helpers").json()
    assert told["here"] and told["bytes"] == 70_000
    fetched = {r.rpartition("/")[2] for r in hub.requests if "/resolve/" in r}
    assert "model.safetensors" in fetched and not fetched & {"pytorch_model.bin", "other.msgpack"}
    assert not any(r.endswith("diffusion_pytorch_model.safetensors") for r in hub.requests)
    assert [b["spec"] for b in client.get("/studio/bases").json()] == ["starter"]


def test_a_helper_without_weights_that_are_read_is_a_sentence(client: TestClient, hub: Hub,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    _help(hub, monkeypatch)
    answer = client.post("/studio/downloads", json={"id": "someone/tiny"})
    assert answer.status_code == 400 and "no pytorch_model.bin of" in answer.json()["error"]
    client.patch("/studio/system", json={"offline": True})
    hub.requests.clear()
    assert "offline mode is on" in client.post("/studio/downloads", json={"id": "someone/tiny"}).json()["error"]
    assert hub.requests == []


def test_offline_the_hub_is_not_asked(client: TestClient, hub: Hub) -> None:
    asked: list[str] = []
    hub.RequestHandlerClass = type("Refuses", (_Answers,), {"do_GET": lambda self: asked.append(self.path)})
    assert client.patch("/studio/system", json={"offline": True}).json()["offline"] is True
    for answer in (client.post("/studio/hub", json={"id": "someone/tiny"}),
                   client.post("/studio/downloads", json={"id": "someone/tiny"})):
        assert answer.status_code == 400 and "offline mode is on" in answer.json()["error"]
    assert client.get("/studio/hub").status_code in (404, 405)  # no page can make a browser send it
    assert not asked and client.get("/studio/downloads").json() == []
