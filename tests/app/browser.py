"""A real browser on a studio of its own, for the tests of rooms."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

from pipelines.shipped import REPOSITORY

ARTIFACTS = REPOSITORY / "test-artifacts"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]

DROP = """([selector, name, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), held = new DataTransfer();
  held.items.add(new File([bytes], name));
  const told = {dataTransfer: held, bubbles: true, cancelable: true};
  for (const type of ["dragenter", "dragover", "drop"])
    document.querySelector(selector).dispatchEvent(new DragEvent(type, told));
}"""
"""Drops a file on what a selector names: [selector, its name, its bytes in base64]."""

MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not here: apt-get install chromium"),
]


class Server:
    """`python -m app serve` on a free port.

    With `outside` the model hub is not forbidden, and what the server would ask of it or of any other machine is asked
    at that address.
    """

    def __init__(self, home: Path, outside: str = "") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.home, self.outside = home, outside
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--port", str(self.port), "--home", str(self.home)],
            cwd=REPOSITORY, env=self._environment())
        for _ in range(1200):
            try:
                urllib.request.urlopen(self.url, timeout=5).close()
                return
            except urllib.error.HTTPError:  # it asks for a login
                return
            except OSError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.2)
        raise AssertionError("the server did not answer within minutes")

    def _environment(self) -> dict[str, str]:
        if not self.outside:
            return {**os.environ, "HF_HUB_OFFLINE": "1"}
        own = {k: v for k, v in os.environ.items() if not k.endswith("_OFFLINE") and not k.lower().endswith("_proxy")}
        return {**own, "HF_ENDPOINT": self.outside, "HF_HUB_CACHE": str(self.home / "no-hub"),
                "NO_PROXY": "127.0.0.1,localhost",
                **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), self.outside)}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(90)


@contextmanager
def serving(home: Path, outside: str = "") -> Iterator[Server]:
    """A studio on a data folder, ended with the block."""
    server = Server(home, outside)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def browsing(server: Server, width: int = 1400, height: int = 900, keep: Mapping[str, str] | None = None
             ) -> Iterator[Page]:
    """A page that may ask the studio and nobody else, and whose scripts make no error; `keep` is what the browser has
    kept of an earlier visit."""
    wrong: list[str] = []

    def only_own(route: Route) -> None:
        if route.request.url.startswith((server.url, "data:", "blob:")):
            route.continue_()
        else:
            wrong.append(f"asked {route.request.url}")
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height}, accept_downloads=True)
        page.add_init_script(f"Object.assign(localStorage, {json.dumps(dict(keep or {}))})")
        page.route("**/*", only_own)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        open_studio(page, server)
        yield page
        browser.close()
    assert not wrong, wrong


def open_studio(page: Page, server: Server) -> None:
    """Go to the page and wait until the first room is drawn."""
    page.goto(server.url, wait_until="domcontentloaded")
    expect(page.locator("#concepts-room[data-ready]")).to_be_visible(timeout=60_000)


def open_room(page: Page, room: str) -> None:
    """Go to a room by its id and wait until it is drawn, also where its tab has no place in the bar."""
    page.evaluate("room => import('/studio/static/rooms.js').then(m => m.openRoom(room))", room)
    expect(page.locator(f"#{room}-room[data-ready]")).to_be_visible(timeout=120_000)


def shot(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)
