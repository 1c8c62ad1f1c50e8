"""Every room in a real browser: read by everybody, in both languages, at both sizes, light and dark."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, Page, Response, Route, expect

from app.ui.concepts import STATIC
from tests.app.browser import MARKS, Server, browsing, open_room, open_studio, serving, shot
from tests.app.filled import PROMPTS, fill
from tests.app.ui.test_sentences import answers
from tests.faults.conftest import FULL

pytestmark = MARKS
ROOMS = ("concepts", "train", "create", "library", "system")
SIZES = {"wide": (1400, 900), "phone": (390, 844)}
EACH = [(s, t) for s in SIZES for t in ("light", "dark")] if FULL else [("wide", "light"), ("phone", "dark")]
"""With SEMBLANCE_FAULTS=full every size in every theme; else each of them once."""
RULES = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
# Figures with their units, days, and the rooms' names.
NUMBERS = re.compile(r"\b\d[\d.,]* ?(s|ms|min|h|B|kB|MB|GB|TB)\b|\b[A-Z][a-z]{2} \d{1,2}, \d{4}"
                     r"|Concepts|Train|Create|Library|System")
LONG = 240_000  # milliseconds for what is asked of a machine that may have other work

SAID = """() => [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility({visibilityProperty: true})
  && !e.closest("script, style, [role=tab], .tab-container, .overflow-menu, .s-keys, .s-model-card, code"))
  .flatMap((e) => [
    ...["placeholder", "aria-label", "title", "alt"].map((name) => e.getAttribute(name)),
    ...[...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.nodeValue)]).filter((s) => s && s.trim())"""


class Outside(ThreadingHTTPServer):
    """Stands for the model hub and for every other machine: what is asked of them is kept, and refused."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refuses)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Refuses(BaseHTTPRequestHandler):
    server: Outside

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_error(503)

    do_HEAD = do_POST = do_CONNECT = do_GET


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    machine = Outside()
    Thread(target=machine.serve_forever, daemon=True).start()
    yield machine
    machine.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, outside: Outside) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("filled")
    fill(home)
    with serving(home, outside.url) as running:
        yield running


def states(page: Page, room: str) -> Iterator[str]:
    """A room as it comes, then with what can be opened in it."""
    open_room(page, room)
    if room == "train":
        expect(page.locator("#about-draft img").first).to_be_visible(timeout=LONG)
        expect(page.locator("#run-panel :is(#comparison, #previews) img").first).to_be_attached(timeout=LONG)
    if room == "library":
        expect(page.locator("#cards .s-card")).to_have_count(3, timeout=LONG)
    yield room
    for summary in page.locator(f"#{room}-room details:not([open]) > summary").all():
        if summary.is_visible():
            summary.click()
    if room == "train":
        page.locator("#run").select_option(index=1)
        expect(page.locator("#run-panel :is(#comparison, #previews) img").first).to_be_attached(timeout=LONG)
    yield f"{room}, opened"
    opener, dialog = {"concepts": ("[data-act=mask]", "#editor"), "train": ("#compare-methods", "#compare-dialog"),
                      "create": ("#history .s-open", ".s-viewer"), "library": ("[data-act=about]", "#about"),
                      "system": ("", "")}[room]
    if opener:
        page.locator(opener).first.click()
        expect(page.locator(f"{dialog}[open]")).to_be_visible(timeout=LONG)
        yield f"{room}, {dialog}"
        page.keyboard.press("Escape")


def running(route: Route) -> None:
    """As if the training ran, which is older than the comparison."""
    jobs = route.fetch().json()
    route.fulfill(json=[{**j, "state": "running" if j["kind"] == "train" else j["state"]} for j in jobs])


def painted(route: Route) -> None:
    """As if a sheet had just been painted."""
    files = [f"20260102-030405-00000{n}-0.png" for n in range(2)]
    route.fulfill(json=[{"id": "0" * 12, "state": "done", "message": "", "columns": ["10", "20"], "rows": ["seed 1"],
                         "images": [files], "sheet": files[0], "step": [0, 0], "done": 2, "total": 2, "preview": "",
                         "compared": False, "unseen": False}])


def further(page: Page, server: Server) -> Iterator[str]:
    """What is under way, and what is opened from within a room."""
    page.evaluate("localStorage.removeItem('semblance.run')")  # a browser that has looked at none yet
    page.route("**/studio/runs", running)
    page.route("**/studio/images/paintings", painted)
    open_studio(page, server)
    kind = page.locator(".s-things select")
    kind.select_option("person")
    expect(page.locator("form#consent")).to_be_visible(timeout=LONG)
    yield "concepts, the consent form"
    kind.select_option("object")
    expect(page.locator("form#consent")).to_have_count(0, timeout=LONG)
    open_room(page, "train")
    expect(page.locator("#run-panel[data-state=running]")).to_be_visible(timeout=LONG)
    yield "train, a running job"
    open_room(page, "create")
    expect(page.locator("#sheet")).to_be_visible(timeout=LONG)
    yield "create, a painted sheet"
    page.locator("#pictures .s-open").first.click()
    page.locator(".s-viewer[open]").get_by_role("button", name="Paint inside it").click()
    expect(page.locator("#mask-dialog .s-canvas[data-ready]")).to_be_visible(timeout=LONG)
    yield "create, the mask dialog"
    page.keyboard.press("Escape")
    open_room(page, "library")
    page.locator("[data-act=export]").first.click()
    page.locator("[data-format]:visible").first.click()
    expect(page.locator("#export[data-ready] .s-download")).to_be_visible(timeout=LONG)
    yield "library, the export dialog"
    page.unroute_all(behavior="ignoreErrors")


DEAD = """() => [...document.querySelectorAll("button:disabled")].filter((b) => b.checkVisibility()
  && !b.title && !document.getElementById(b.getAttribute("aria-describedby"))?.textContent.trim())
  .map((b) => b.id || b.textContent || b.className)"""


def faults_of(page: Page, state: str) -> list[str]:
    """What is wrong with what is shown now; a button that cannot be pressed says why."""
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth") > 1
    found = Axe().run(page, options=RULES).response["violations"]
    return [*([f"{state} is too wide"] if wide else []),
            *(f"{state}: '{button}' is dead without a reason" for button in page.evaluate(DEAD)),
            *(f"{state}: {v['id']} at {[n['target'] for n in v['nodes']][:4]}" for v in found
              if v["impact"] in ("serious", "critical"))]


@pytest.mark.parametrize(("size", "theme"), EACH)
def test_no_room_has_a_serious_fault_or_is_wider_than_the_page(server: Server, size: str, theme: str) -> None:
    faults = []
    with browsing(server, *SIZES[size], keep={"semblance.theme": theme}) as page:
        for room in ROOMS:
            for state in states(page, room):
                faults += faults_of(page, state)
            shot(page, f"{room}-{size}-{theme}")
        for state in further(page, server):
            faults += faults_of(page, state)
    assert not faults, "\n".join(faults)


def test_a_phone_reaches_every_room_and_no_id_stands_twice_in_all_of_them(server: Server) -> None:
    """axe is silent here: its rule for ids is off since they are no fault of WCAG, and it sees the shown room alone."""
    with browsing(server, *SIZES["phone"], keep={"semblance.theme": "dark", "semblance.language": "de"}) as page:
        for room in ROOMS:
            for state in states(page, room):
                if state.endswith("#editor"):
                    pressed = page.locator("#editor [data-tool=brush]")
                    expect(pressed).to_have_css("background-color", "rgb(250, 250, 249)")
                if state.endswith(".s-viewer"):
                    expect(page.locator(".s-made")).to_contain_text("DDIM")
                    expect(page.locator(".s-made")).not_to_contain_text("Stärke")  # of a second pass, and there is none
        page.evaluate("window.scrollTo(0, 0)")  # what was pressed last may lie far down
        tabs = page.locator(".tab-container:not(.visually-hidden) [role=tab]")
        expect(tabs).to_have_count(len(ROOMS))
        for tab in tabs.all():
            expect(tab).to_be_in_viewport(ratio=0.99)
            assert tab.evaluate("t => t.scrollWidth <= t.clientWidth + 1"), tab.inner_text()
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id).filter(Boolean)")
    assert len(ids) > 100 and len(ids) == len(set(ids)), sorted({i for i in ids if ids.count(i) > 1})


def test_the_server_asks_no_other_machine_for_any_room(server: Server, outside: Outside) -> None:
    """From its start on, with the hub allowed; one that is asked for by its id is what shows that it would be seen."""
    with browsing(server) as page:
        for room in ROOMS:
            for _ in states(page, room):
                pass
        page.wait_for_timeout(500)  # for what is asked of the server late
        assert outside.asked == []
        page.request.post(f"{server.url}/studio/hub", data={"id": "someone/else"})
        assert any("someone/else" in asked for asked in outside.asked)
    outside.asked.clear()


def marked(words: dict[str, str]) -> dict[str, str]:
    """The catalogue with a mark in every text; the rooms' names stay, their tabs are found by them."""
    return {key: text if key.startswith("room.") else f"\u2039{text}\u203a" for key, text in words.items()}


def test_a_room_shows_nothing_that_is_not_in_the_catalogues(server: Server) -> None:
    """Each text of the page has the catalogue's mark, or came from the studio, or has no words in it."""
    came: set[str] = {"English", "Deutsch", "Semblance", "starter", "a photo of …", *PROMPTS}

    def listen(response: Response) -> None:
        if "/studio/" in response.url and "application/json" in response.headers.get("content-type", ""):
            with suppress(Error):  # of the page before this one: its body has gone with it
                came.update(_strings(response.json()))

    def mark(route: Route) -> None:
        route.fulfill(json=marked(json.loads((STATIC / "i18n" / "en.json").read_text("utf-8"))))

    with browsing(server) as page:
        page.on("response", listen)
        page.route("**/static/i18n/en.json", mark)
        page.reload(wait_until="domcontentloaded")
        expect(page.locator("#concepts-room[data-ready]")).to_be_visible(timeout=LONG)
        silent = {}
        for room in ROOMS:
            for state in states(page, room):
                said = [" ".join(s.split()) for s in page.evaluate(SAID)]
                assert sum("\u2039" in s for s in said) > 10, state
                silent[state] = sorted({s for s in said if "\u2039" not in s and _words(s, came)})
    assert not any(silent.values()), json.dumps({s: texts for s, texts in silent.items() if texts}, indent=1)


def _strings(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield " ".join(told.split())
    for part in told.values() if isinstance(told, dict) else told if isinstance(told, list) else ():
        yield from _strings(part)


def _words(text: str, came: set[str]) -> bool:
    """Whether a text has words of its own, beside numbers, units and what the studio told."""
    plain = "" if text in came else NUMBERS.sub("", text)
    for told in sorted((c for c in came if len(c) > 2), key=len, reverse=True):
        plain = plain.replace(told, "")
    return bool(re.search(r"[A-Za-z]{2}", plain))


def test_german_is_spoken_in_every_room(server: Server) -> None:
    words = json.loads((STATIC / "i18n" / "de.json").read_text("utf-8"))
    title = answers("de")["One thing or style, in a file that every program reads"]
    with browsing(server, keep={"semblance.language": "de"}) as page:
        for room, key in (("concepts", "concepts.drop"), ("train", "train.start"), ("create", "create.paint"),
                          ("library", "library.drop"), ("system", "system.machine")):
            open_room(page, room)
            expect(page.locator(f"#{room}-room")).to_contain_text(words[key], timeout=LONG)
        expect(page.locator("#bases")).to_contain_text(answers("de")["the starter"], timeout=LONG)
        open_room(page, "train")
        expect(page.locator("#method")).to_contain_text(title, timeout=LONG)
        page.evaluate("localStorage.removeItem('semblance.run')")  # a browser that has looked at none yet
        page.route("**/studio/runs", running)
        open_studio(page, server)
        open_room(page, "train")
        expect(page.locator("#run-panel h3")).to_contain_text(words["doing.train"], timeout=LONG)
        page.unroute_all(behavior="ignoreErrors")


def test_a_change_of_language_reaches_rooms_that_stand_already_and_keeps_what_was_chosen(server: Server) -> None:
    words = json.loads((STATIC / "i18n" / "de.json").read_text("utf-8"))
    with browsing(server) as page:
        open_room(page, "train")
        page.locator("input[name=method][value=perfusion]").check()
        page.locator("#advanced summary").click()
        page.locator("#field-steps input").fill("77")
        open_room(page, "create")
        page.locator("#prompt textarea").fill("a photo of a cat")
        open_room(page, "system")
        page.locator("#language [data-value=de]").click()
        open_room(page, "create")
        expect(page.locator("#paint")).to_have_text(words["create.paint"], timeout=LONG)
        expect(page.locator("#prompt textarea")).to_have_value("a photo of a cat")
        open_room(page, "train")
        expect(page.locator("#start")).to_have_text(words["train.start"], timeout=LONG)
        expect(page.locator("input[name=method][value=perfusion]")).to_be_checked()
        expect(page.locator("#field-steps input")).to_have_value("77")
        open_room(page, "concepts")
        expect(page.locator("#teach-this")).to_have_text(words["concepts.teach"], timeout=LONG)
        open_studio(page, server)  # a reload
        open_room(page, "train")
        expect(page.locator("input[name=method][value=perfusion]")).to_be_checked(timeout=LONG)
        expect(page.locator("#field-steps input")).to_have_value("77")

        asked: list[Any] = []

        def refuse(route: Route) -> None:
            asked.append(route.request.post_data_json)
            route.fulfill(status=400, json={"error": "Not now."})

        page.route("**/seen", refuse)
        open_room(page, "concepts")
        page.locator("[data-act=mask]").first.click()
        page.locator("#seen").click()  # what the loss sees is asked for as it was chosen, and with another method
        expect(page.locator("#seen-method")).to_have_value("perfusion")
        expect(page.locator(".s-seen [role=status]")).to_have_text("Not now.")
        page.locator("#seen-method").select_option("lora")
        expect(page.locator(".s-seen [role=status]")).to_have_text("Not now.")
        page.unroute_all(behavior="ignoreErrors")
        chosen = {"base": "starter", "preset": "balanced", "memory": ""}
        assert asked == [{**chosen, "method": "perfusion", "settings": {"steps": 77}},
                         {**chosen, "method": "lora", "settings": {}}]
