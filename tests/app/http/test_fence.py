"""What of Gradio is open without accounts, and what a page of another site gets."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from app.http.fence import Fence
from app.http.server import create_app
from app.studio import Studio
from tests.app.people import logged_in, shared_app, two_people, visitor

ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
OPENING = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
STUDIO = ["/studio/runs", "/studio/images", "/studio/library", "/studio/system/device", "/studio/static/dom.js",
          "/studio/library/mycat/export/kohya", "/config", "/gradio_api/info", "/gradio_api/queue/data"]


@pytest.fixture
def client(whole: TestClient) -> TestClient:
    """Of the page too: what of it is open is the question here."""
    return whole


@pytest.fixture
def foreign() -> Iterator[tuple[str, list[str]]]:
    """A site that answers a picture's address with a page; its own address, and what it was asked for."""
    asked: list[str] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<script>alert(1)</script>")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}/a.png", asked
        server.shutdown()


@pytest.mark.parametrize("way", ["/gradio_api/file=", "/gradio_api/file/", "/file=", "/gradio_api/file%3D",
                                 "/gradio_api/file%2F", "/gradio_api/proxy="])
def test_no_address_is_fetched_for_anybody(client: TestClient, foreign: tuple[str, list[str]], way: str) -> None:
    address, asked = foreign
    for scheme in ("http://", "http:/", "https://", "HTTP://"):
        answer = client.get(f"{way}{scheme}{address}")
        assert answer.status_code == 404 and "the page is at /" in answer.json()["error"], scheme
    assert not asked


OPEN = {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/pwa_icon", "/static/x",
        "/assets/x", "/svelte/x", *(f"/gradio_api/{name}" for name in (
            "info", "startup-events", "app_id", "theme.css", "heartbeat/x", "upload", "queue/join", "queue/data",
            "call/x", "call/x/x", "call/v2/x", "cancel", "reset"))}


def test_only_what_the_page_and_the_client_need_is_behind_the_fence(studio: Studio) -> None:
    through: set[str] = set()

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        through.add(scope["path"])
        await Response()(scope, receive, send)

    page = next(r.app for r in create_app(studio, ["127.0.0.1"]).routes if isinstance(r, Mount) and r.path == "")
    assert isinstance(page, FastAPI)
    every = {re.sub(r"\{[^}]*\}", "x", path) for path in page.openapi()["paths"]}
    assert "/gradio_api/file/x" in every and len(every) > 40, "Gradio says otherwise what it answers to"
    client = TestClient(Fence(behind))
    for path in every:
        client.get(path)
    assert {"/", "/gradio_api/upload", "/gradio_api/queue/join"} <= through <= OPEN


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_gets_nothing(client: TestClient, site: str) -> None:
    for path in STUDIO:
        for told in (ELSEWHERE, OPENING):
            answer = client.get(path, headers={**told, "Sec-Fetch-Site": site})
            assert answer.status_code == 403 and "another site" in answer.json()["error"], path


def test_nor_does_it_show_the_page_in_a_frame_or_read_it(client: TestClient) -> None:
    for mode, dest in (("navigate", "iframe"), ("no-cors", "script"), ("cors", "empty")):
        told = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
        assert client.get("/", headers=told).status_code == 403, mode


def test_a_post_from_another_site_is_refused(client: TestClient) -> None:
    for told in ({"Origin": "http://evil.example"}, {"Origin": "null"}, OPENING):
        assert client.post("/gradio_api/queue/join", headers=told, json={}).status_code == 403
        assert client.post("/", headers=told).status_code == 403


def test_a_link_opens_the_page(client: TestClient) -> None:
    assert "Semblance" in client.get("/", headers=OPENING).text


@pytest.mark.parametrize("told", [{}, {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
                                  {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}])
def test_programs_and_the_page_itself_get_everything(client: TestClient, told: dict[str, str]) -> None:
    for path in ("/", "/studio/runs", "/studio/images", "/config", "/gradio_api/info", "/studio/static/dom.js"):
        assert client.get(path, headers=told).status_code == 200, path
    assert client.post("/studio/drafts", headers=told).status_code == 200


def test_with_accounts_a_link_leads_to_the_login_and_the_page(tmp_path_factory: pytest.TempPathFactory,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    app = shared_app(two_people(tmp_path_factory.mktemp("people"), monkeypatch))
    told = {**OPENING, "Accept": "text/html"}
    assert visitor(app).get("/", headers=told).headers["location"].startswith("/login")
    assert visitor(app).get("/login", headers=told).status_code == 200
    bob = logged_in(app, "bob")
    assert bob.get("/", headers=told).status_code == 200
    assert bob.get("/studio/runs", headers=told).status_code == 403
    assert bob.get("/studio/runs").status_code == 200
