"""Several people on one studio: nobody gets at what is another's, and nothing opens without a login."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from safetensors.numpy import save_file

from adapters.errors import StudioError
from adapters.identity import BaseIdentity
from adapters.record import AdapterRecord, Concept
from app.accounts.people import People
from app.home import Home
from app.http import server
from app.studio import Studio
from app.verbs.cli import main
from pipelines.base_models import listed
from pipelines.shipped import SAMPLES
from tests.app.people import PASSWORD, logged_in, made_quick, shared_app, two_people, visitor, with_token
from tests.faults.conftest import FULL, Note

PICTURE = "20260101-000000-abcdef-0.png"
PREVIEW = "step00000010-0.png"
EXPORT = "0123456789abcdef0123456789ab"
KOALA = SAMPLES / "koala" / "0.png"


@dataclass
class Hers:
    """What Alice has, by what the routes call it; `secrets` are words that no answer to Bob may have."""

    values: dict[str, str]
    secrets: list[str]
    home: Home

    def state(self) -> dict[str, str]:
        """Every file of hers and what is in it."""
        kept = [p for p in self.home.root.rglob("*") if p.is_file() and not p.name.startswith("studio.db")]
        return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


def adapter_file(path: Path, name: str, kind: Any = None) -> Path:
    """A small file with a record."""
    base = BaseIdentity(family="starter", name="starter", hash="0" * 16)
    record = AdapterRecord(kind="lora", method="lora", name=name, base=base, trigger="zok", class_noun="bear",
                           concepts=(Concept(name=name, noun="bear", trigger="zok", kind=kind),) if kind else ())
    save_file({"a": np.zeros((2, 2), np.float32)}, path, metadata=record.to_metadata())
    return path


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    return two_people(tmp_path / "home", monkeypatch)


@pytest.fixture
def app(people: People) -> FastAPI:
    return shared_app(people)


def studio_of(people: People, name: str) -> Studio:
    return people.person(people.register.accounts.get(name)).studio


@pytest.fixture
def hers(people: People, app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hers:
    """One of everything, made as Alice."""
    alice, studio = logged_in(app, "alice"), studio_of(people, "alice")

    def no(*_: object, **__: object) -> None:
        raise StudioError("It is not painted or looked at here.")

    monkeypatch.setattr(people.common.painter, "paint", no)
    monkeypatch.setattr(people.common.looker, "ask", no)
    picture = KOALA.read_bytes()
    draft = alice.post("/studio/drafts").json()["id"]
    told = alice.post(f"/studio/drafts/{draft}/pictures", files={"files": ("0.png", picture)}).json()["draft"]
    shot, thing = told["shots"][0]["id"], told["things"][0]["id"]
    alice.patch(f"/studio/drafts/{draft}", json={"title": "herdraft", "things": [
        {**told["things"][0], "name": "herkoala", "noun": "bear"}]})
    mask = tmp_path / "mask.png"
    Image.new("L", (told["shots"][0]["width"], told["shots"][0]["height"]), 255).save(mask)
    assert alice.put(f"/studio/drafts/{draft}/pictures/{shot}/masks/{thing}",
                     files={"file": ("m.png", mask.read_bytes())}).status_code == 200
    consent = alice.post("/studio/consents", json={"draft": draft, "who": "herfriend", "scope": "hertest", "by": "her",
                                                   "date": "2026-01-01"}).json()["id"]
    source = alice.post("/studio/images/sources", files={"picture": ("p.png", picture)}).json()["source"]
    painting = alice.post("/studio/images/paintings", json={"request": {"prompt": "herprompt"}}).json()["id"]
    alice.put("/studio/images/styles", json={"name": "herstyle", "prompt": "herwords"})
    Image.new("RGB", (8, 8)).save(studio.home.images / PICTURE)
    for name in ("herkoala", "hergone"):
        studio.library.add(adapter_file(tmp_path / f"{name}.safetensors", name), name, KOALA)
    grave = studio.library.delete("hergone").name
    run = "herrun-1"
    studio.store.add(run, "herkoala")
    (studio.home.runs / run / "previews").mkdir(parents=True)
    (studio.home.runs / run / "previews" / PREVIEW).write_bytes(picture)
    (studio.home.runs / run / "pictures" / ("0" * 12)).mkdir(parents=True)
    (studio.home.runs / run / "pictures" / ("0" * 12) / "0000.png").write_bytes(picture)
    (studio.home.temporary / "exports" / EXPORT).mkdir(parents=True)
    (studio.home.temporary / "exports" / EXPORT / "a.safetensors").write_bytes(b"x")
    values = {"draft": draft, "shot": shot, "thing": thing, "consent": consent, "source": source, "run": run,
              "painting": painting, "grave": grave, "adapter": "herkoala"}
    secrets = [draft, shot, consent, source, painting, grave, run, "herkoala", "herdraft", "herfriend", "herprompt",
               "herstyle", "herwords", PICTURE, studio.home.root.name]
    return Hers(values, secrets, studio.home)


def filled(path: str, hers: Hers) -> str:
    """A route's address with what is Alice's in the place of every parameter."""
    v = hers.values
    places: list[tuple[str, dict[str, str]]] = [
        (r"/studio/drafts/", {"id": v["draft"], "shot": v["shot"], "thing": v["thing"]}),
        (r"/studio/runs/.*/previews/", {"run": v["run"], "file": PREVIEW}),
        (r"/studio/runs/", {"run": v["run"], "place": "0" * 12, "file": "0000.png", "what": "save"}),
        (r"/studio/images/paintings/", {"id": v["painting"]}),
        (r"/studio/images/sources/", {"id": v["source"]}),
        (r"/studio/images/styles/", {"name": "herstyle"}),
        (r"/studio/images/", {"file": PICTURE}),
        (r"/studio/library/", {"name": v["adapter"], "id": v["grave"], "format": "studio"}),
        (r"/studio/exports/", {"id": EXPORT}),
        (r"/studio/consents/", {"id": v["consent"]}),
        (r"/studio/concepts/", {"name": v["adapter"]}),
        (r"/studio/shared/", {"called": f"{v['adapter']}@alice"}),
        (r"/studio/accounts/", {"name": "alice"}),
        (r"/studio/bases/", {"id": "0" * 12}),
        (r"/studio/methods/", {"method": "lora"}),
    ]
    known = next((values for prefix, values in places if re.match(prefix, path)), {})

    def value(found: re.Match[str]) -> str:
        name = found[1].partition(":")[0]
        assert name in known, f"a new route: say here what {name!r} of {path} is of Alice's"
        return known[name]

    return re.sub(r"\{([^}]+)\}", value, path)


def bodies(hers: Hers) -> dict[tuple[str, str], dict[str, Any]]:
    """What a route wants to be sent, with what is Alice's in it."""
    v, picture = hers.values, ("0.png", KOALA.read_bytes())
    draft, shot = "/studio/drafts/{id}", "/studio/drafts/{id}/pictures/{shot}"
    mask = f"{shot}/masks/{{thing}}"
    return {
        ("PATCH", draft): {"json": {"title": "his"}}, ("POST", f"{draft}/pictures"): {"files": {"files": picture}},
        ("PATCH", f"{draft}/captions"): {"json": {"find": "a", "put": "b"}},
        ("POST", f"{draft}/captions"): {"files": {"files": ("0.txt", b"his")}},
        ("POST", f"{draft}/captions/write"): {"json": {"model": ""}}, ("PATCH", shot): {"json": {"caption": "his"}},
        ("PUT", mask): {"files": {"file": picture}},
        ("POST", f"{shot}/caption"): {"json": {"model": ""}},
        ("POST", f"{shot}/find"): {"json": {"pointed": {"word": "bear"}}},
        ("POST", f"{shot}/seen"): {"json": {}}, ("POST", f"{mask}/find"): {"json": {}},
        ("POST", "/studio/consents"): {"json": {"draft": v["draft"], "who": "a", "scope": "b", "by": "c",
                                                "date": "2026-01-01"}},
        ("POST", "/studio/runs"): {"json": {"draft": v["draft"]}},
        ("POST", "/studio/runs/preflight"): {"json": {"draft": v["draft"]}},
        ("POST", "/studio/runs/estimate"): {"json": {"draft": v["draft"]}},
        ("POST", "/studio/runs/{run}/move"): {"json": {"where": "up"}},
        ("POST", "/studio/runs/{run}/later"): {"json": {"at": None}},
        ("POST", "/studio/runs/{run}/clone"): {"json": {}}, ("POST", "/studio/runs/{run}/keep"): {"json": {}},
        ("POST", "/studio/runs/{run}/recommend"): {"json": {}},
        ("POST", "/studio/comparisons"): {"json": {"draft": v["draft"], "methods": ["lora"]}},
        ("POST", "/studio/evaluations"): {"json": {"adapter": v["adapter"], "run": v["run"]}},
        ("POST", "/studio/images"): {"json": {"request": {"prompt": "a"}, "adapters": [v["adapter"]]}},
        ("POST", "/studio/images/paintings"): {"json": {"request": {"prompt": "a"}, "source": v["source"]}},
        ("POST", "/studio/images/paintings/{id}/move"): {"json": {"where": "up"}},
        ("PATCH", "/studio/images/{file}"): {"json": {"favourite": True}},
        ("PATCH", "/studio/library/{name}"): {"json": {"tags": ["his"]}},
        ("POST", "/studio/library/{name}/export/{format}"): {"json": {}},
        ("POST", "/studio/library/{name}/share"): {"json": {}},
        ("POST", "/studio/library/{name}/unshare"): {"json": {}},
    }


# Without anything of another's in them: they answer about Bob's own, or about the machine.
OWN = {
    ("POST", "/studio/drafts"): {}, ("PUT", "/studio/images/styles"): {"json": {"name": "his", "prompt": "his"}},
    ("POST", "/studio/images/settings"): {"files": {"file": ("0.png", KOALA.read_bytes())}},
    ("POST", "/studio/images/sources"): {"files": {"picture": ("0.png", KOALA.read_bytes())}},
    ("POST", "/studio/library"): {"params": {"file": "a.safetensors"}, "content": b"x"},
    ("POST", "/studio/verify"): {"params": {"file": "a.png"}, "content": KOALA.read_bytes()},
    ("POST", "/studio/queue/pause"): {}, ("POST", "/studio/queue/go-on"): {}, ("DELETE", "/studio/trash"): {},
    ("PATCH", "/studio/system"): {"json": {"offline": False}},
    ("DELETE", "/studio/images/styles/{name}"): {}, ("GET", "/studio/methods/{method}/settings"): {},
}
# Of the machine or the accounts: for admins.
ADMINS = re.compile(r"(POST|DELETE|PATCH) /studio/(bases|downloads|hub)\b.*|\w+ /studio/accounts\b.*")
# Her own is not shared with her, and of a picture that is not painted now there is no preview.
HIDDEN = {"/studio/shared/{called}/preview", "/studio/images/paintings/{id}/preview"}
SLOW = {("GET", "/studio/system/device")}  # a process of its own looks at the machine, at nobody's folder


def test_every_route_that_is_asked_for_what_is_anothers_says_404(people: People, app: FastAPI, hers: Hers,
                                                                 note: Note) -> None:
    alice, bob = logged_in(app, "alice"), with_token(app, people, "bob")
    paths = bob.get("/studio/openapi.json").json()["paths"]
    routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    before, sent, said, wrong = hers.state(), bodies(hers), Counter[str](), []
    assert set(sent) <= set(routes) and set(OWN) <= set(routes), "a route that is not there any more"
    for method, path in routes:
        if (method, path) in SLOW:
            continue
        address = filled(path, hers)
        hers_too = method == "GET" and "{" in path and not path.endswith("/events")  # these go on until a run ends
        if hers_too and path not in HIDDEN and alice.get(address).status_code == 404:
            wrong.append((method, path, 404, "for Alice too, so it would say nothing of Bob"))
        options = sent.get((method, path)) or OWN.get((method, path)) or {}
        answer = bob.request(method, address, **options)
        if (method, path) in OWN or (method == "GET" and "{" not in path):
            expected = answer.status_code if answer.status_code < 500 else 200
            said["of his own"] += 1
        elif ADMINS.fullmatch(f"{method} {path}"):
            expected = 403
            said["403, for admins"] += 1
        else:
            expected = 404
            said["404"] += 1
        if answer.status_code != expected:
            wrong.append((method, path, answer.status_code, answer.text[:200]))
        leaked = [s for s in hers.secrets if s in answer.text and s not in address and s not in str(options)]
        assert not leaked, (method, path, leaked)
    assert not wrong, wrong
    assert hers.state() == before
    assert said["404"] >= 60
    note(13, "routes that B asks for what is A's (from the OpenAPI list)", sum(said.values()),
         f"{dict(said)}; nothing of A's in any answer, no file of A's changed")


def test_gradios_routes_give_nobody_anybodys_files(people: People, app: FastAPI, hers: Hers, note: Note) -> None:
    bob, tried = logged_in(app, "bob"), 0
    files = [p for p in hers.home.root.rglob("*") if p.is_file()]
    for file in (*files, people.home.accounts):
        ways = [f"/gradio_api/file={file}", f"/gradio_api/file/{file}", f"/file={file}", f"/gradio_api/file%3D{file}",
                f"/gradio_api/./file={file}", f"/static/..{file}", f"/studio/static/..%2f..{file}",
                f"/gradio_api/proxy={file}", f"/gradio_api/stream/a/b/1/{file.name}"]
        for way in ways:
            assert bob.get(way).status_code == 404, way
            tried += 1
    for path in ("/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/vibe-edit",
                 "/gradio_api/component_server", "/gradio_api/process_recording"):
        assert bob.post(path, json={}).status_code == 404, path
        tried += 1
    note(13, "files of A's, and of the studio's, by every way of Gradio", tried, "404 each")


@pytest.mark.parametrize("more", [["--host", "0.0.0.0"], ["--host", "::"], ["--host", "192.168.1.7"],
                                  ["--host", "studio.example"], ["--name", "studio.example"]])
def test_beyond_loopback_nothing_opens_without_a_login(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                       monkeypatch: pytest.MonkeyPatch, more: list[str],
                                                       note: Note) -> None:
    opened: list[str] = []
    monkeypatch.setattr(server, "_run", lambda app, host, port, where: opened.append(host))
    for variable in (listed.VARIABLE, "GRADIO_TEMP_DIR"):  # serving sets them; put back afterwards
        monkeypatch.setenv(variable, "")
    home = ["--home", str(tmp_path / "home")]
    assert main(["serve", *more, *home]) == 2
    said = capsys.readouterr().err
    assert "nobody has an account yet" in said and said.count("\n") == 1 and opened == []
    made_quick(monkeypatch)
    People(Home.open(str(tmp_path / "home"))).register.accounts.add("alice", PASSWORD)
    assert main(["serve", *more, *home]) == 0 and len(opened) == 1
    note(14, f"serve {' '.join(more)} without an account", 1, "refused in a sentence, exit code 2; opens with one")


def test_50_clients_with_20_questions_each_sent_twice_lose_and_double_nothing(
        people: People, app: FastAPI, monkeypatch: pytest.MonkeyPatch, note: Note) -> None:
    clients, questions = (50, 20) if FULL else (10, 4)
    for name in ("alice", "bob"):
        people.register.accounts.set_quota(name, queue=10_000)
        studio = studio_of(people, name)

        def prepare(images: Any, name: str, noun: str, studio: Studio = studio) -> Path:
            folder = studio.home.runs / f"{name}-{threading.get_ident()}-{time.monotonic_ns()}"
            folder.mkdir()
            return folder

        def teach(draft: str, asked: str = "", studio: Studio = studio, **_: Any) -> str:
            return studio.start_training([], draft, "cat", asked=asked)

        monkeypatch.setattr(studio, "prepare_run", prepare)
        monkeypatch.setattr(studio, "teach", teach)
    tokens = {name: with_token(app, people, name).headers["Authorization"] for name in ("alice", "bob")}

    def ask(number: int) -> list[str]:
        # Every question is asked by two clients of the same person; the other person sends the same keys.
        client, who = visitor(app), ("alice", "bob")[number % 2]
        answers = [client.post("/studio/runs", json={"draft": f"j{number // 4}-{n}"}, headers={
            "Authorization": tokens[who], "Idempotency-Key": f"{number // 4}-{n}"}) for n in range(questions)]
        assert {a.status_code for a in answers} == {200}, [a.text for a in answers if a.status_code != 200]
        return [a.json()["id"] for a in answers]

    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(ask, range(clients)))
    for mine, name in ((answers[0::2], "alice"), (answers[1::2], "bob")):
        studio, ids = studio_of(people, name), {id for part in mine for id in part}
        assert len(ids) == questions * -(-clients // 4) == len(studio.jobs())
        assert {j.id for j in studio.jobs()} == ids == {f.name for f in studio.home.runs.iterdir()}
    note(9, "submits by clients with logins, each key sent twice and by two people", clients * questions,
         "each person's each exactly once, none lost")
