"""How much a request may bring, with and without saying so beforehand."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import UploadFile
from fastapi.testclient import TestClient

from app.home import Home
from app.http import server, uploads
from app.http.body_limit import MOST
from app.http.server import serve, serve_people
from app.http.studio_routes import UPLOADS
from app.studio import Studio
from tests.app.listening import listening
from tests.app.people import logged_in, shared_app, two_people

MORE = "more than the 1 MB"


def pieces(count: int, size: int = 1 << 16) -> Iterator[bytes]:
    """A body that does not say how long it is."""
    for _ in range(count):
        yield b" " * size


@pytest.fixture(params=["alone", "with accounts"])
def anyone(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    if request.param == "alone":
        client: TestClient = request.getfixturevalue("client")
        return client
    return logged_in(shared_app(two_people(tmp_path / "people", monkeypatch)), "bob")


def test_what_says_that_it_is_too_long_is_refused(anyone: TestClient) -> None:
    for path in ("/studio/system", "/studio/drafts", "/studio/images/styles", "/", "/studio/runs"):
        for method in ("POST", "PUT", "PATCH", "DELETE", "GET"):
            answer = anyone.request(method, path, content=b" " * (MOST + 1))
            assert answer.status_code == 413 and MORE in answer.json()["error"], (method, path)


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/studio/system"), ("DELETE", "/studio/images/x.png")])
def test_what_does_not_say_is_counted(anyone: TestClient, method: str, path: str) -> None:
    answer = anyone.request(method, path, content=pieces(17))
    if answer.status_code != 413:  # a route that reads no body never has it
        assert method == "DELETE" and answer.status_code in (400, 404)
    else:
        assert MORE in answer.json()["error"]
    assert anyone.patch("/studio/system", content=pieces(2), headers={"Content-Type": "application/json"}
                        ).status_code == 422, "a little is taken and read"


@pytest.mark.parametrize(("method", "path"), [("POST", "/studio/images"), ("PUT", "/studio/images/styles"),
                                              ("PATCH", "/studio/drafts/aaaaaaaaaaaa"), ("POST", "/studio/runs")])
def test_nothing_is_done_with_a_part_of_it(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path, content=pieces(17), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413 and MORE in answer.json()["error"]


def test_a_program_that_sends_on_and_on_gets_the_answer(client: TestClient) -> None:
    with listening(client.app) as address:  # type: ignore[arg-type]
        answer = httpx.patch(f"{address}/studio/system", content=pieces(500), timeout=60)
        assert answer.status_code == 413 and MORE in answer.json()["error"]
        assert httpx.get(f"{address}/studio/system", timeout=60).status_code == 200


def test_files_may_be_larger_to_a_limit_of_their_own(client: TestClient) -> None:
    draft = client.post("/studio/drafts").json()["id"]
    told = client.post(f"/studio/drafts/{draft}/pictures", files=[("files", ("a.png", b"x" * 2 * MOST))])
    assert told.status_code == 200 and "is not a PNG" in told.json()["refused"][0]
    told = client.post("/studio/images/settings", files={"file": ("a.png", b"x" * 2 * MOST)})
    assert told.status_code == 400 and "'a.png' is not a PNG" in told.json()["error"]


def test_a_form_is_counted_too(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    limit = next(m for m in _middlewares(client) if "uploads" in m.kwargs)
    monkeypatch.setitem(limit.kwargs["uploads"], "POST /studio/images/settings", 2 * MOST)

    def form(count: int) -> Iterator[bytes]:
        yield head
        yield from pieces(count)
        yield b"\r\n--x--\r\n"

    def send(count: int) -> httpx.Response:
        return client.post("/studio/images/settings", content=form(count),
                           headers={"Content-Type": "multipart/form-data; boundary=x"})

    assert send(20).status_code == 400
    assert send(40).status_code == 413 and "more than the 2 MB" in send(40).json()["error"]


def _middlewares(client: TestClient) -> list[object]:
    return client.app.user_middleware  # type: ignore[attr-defined,no-any-return]


def test_every_route_that_takes_files_says_how_much(client: TestClient) -> None:
    told = client.get("/studio/openapi.json").json()["paths"]
    forms = {f"{method.upper()} {re.sub(r'{.*?}', 'x', path)}" for path, methods in told.items()
             for method, route in methods.items() if "multipart/form-data" in str(route.get("requestBody"))}
    assert len(forms) > 3
    assert all(any(re.fullmatch(known, form) for known in UPLOADS) for form in forms), forms


@pytest.mark.skipif(sys.platform != "linux", reason="only there an open file says where it lies")
def test_what_is_on_its_way_is_in_the_data_folder(client: TestClient, studio: Studio,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    uploads.spool_in(studio.home)
    keep, seen = uploads._keep, []

    def look(file: UploadFile, path: Path) -> None:
        seen.append(Path(f"/proc/self/fd/{file.file.fileno()}").readlink())
        keep(file, path)

    monkeypatch.setattr(uploads, "_keep", look)
    client.post("/studio/images/settings", files={"file": ("a.png", b"x" * 2 * MOST)})
    assert len(seen) == 1 and seen[0].is_relative_to(studio.home.temporary)


@pytest.mark.parametrize("who", ["one", "several"])
def test_a_server_keeps_it_there(tmp_path: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(server, "_run", lambda *_: None)
    home = studio.home
    old, new = (home.temporary / "spool" / "gradio" / n / "a.png" for n in ("old", "new"))
    for file in (old, new):
        file.parent.mkdir(parents=True)
        file.touch()
    os.utime(old, (0, 0))
    if who == "one":
        serve(studio, "127.0.0.1", 0, [])
    else:
        people = two_people(tmp_path / "people", monkeypatch)
        home = people.home
        serve_people(people, "127.0.0.1", 0, [])
    assert Path(tempfile.gettempdir()).is_relative_to(home.temporary)
    assert who != "one" or (new.exists() and not old.exists())


def test_two_pictures_at_a_time_are_looked_at(tmp_path: Path) -> None:
    home, count, most, lock = Home.open(str(tmp_path)), 0, 0, threading.Lock()
    first_two = threading.Barrier(2)

    def look(path: Path) -> None:
        nonlocal count, most
        with lock:
            count, most = count + 1, max(most, count + 1)
        first_two.wait(30)
        with lock:
            count -= 1

    def send() -> None:
        with tempfile.TemporaryFile() as file:
            uploads.received(home, UploadFile(file), "a.png", look)

    _all_at_once([send] * 8)
    assert most == 2 and count == 0


def _all_at_once(doing: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=do) for do in doing]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
