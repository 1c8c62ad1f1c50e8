"""How the studio feels, in numbers: what the first page weighs, when it can be used, how clicks answer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.app.browser import CHROMIUM, FLAGS, MARKS, Server, open_room, serving
from tests.app.filled import KOALAS, fill

pytestmark = [*MARKS, pytest.mark.alone]
FIRST_PAGE, OURS = 1_000_000, 165_000  # bytes; the second is a bound of our own, so that growth is noticed
USABLE = 2.0  # seconds
ANSWER, CLICKS, MOST = 200, 50, 0.95  # milliseconds, how many, the share that is as quick
LONG = 240_000

# Clicks, and waits until what it should do is there and has been drawn; the milliseconds that took.
CLICK = """async ([selector, there]) => {
  const began = performance.now(), done = new Function(`return ${there}`);
  document.querySelector(selector).click();
  while (!done()) {
    if (performance.now() - began > 20000) throw new Error(`${selector}: ${there}`);
    await new Promise(requestAnimationFrame);
  }
  await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""
SHOWN = "document.querySelector('#{}-room').checkVisibility()"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("feel")
    fill(home)
    with serving(home) as running:
        yield running


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 1400, "height": 900})
        browser.close()


def only_when_free() -> None:
    """Skip where other work has the processor: a figure of time would be that work's, not the studio's.

    The studio's own start takes its time first, which is waited for.
    """
    shares = []
    while len(shares) < 40 and (not shares or shares[-1] < 0.9):
        began, used = time.perf_counter(), time.process_time()
        while time.perf_counter() - began < 0.5:
            pass
        shares.append((time.process_time() - used) / 0.5)
    if (share := shares[-1]) < 0.9:
        pytest.skip(f"this process gets {share:.0%} of a core; times are measured on a machine without other work")


def test_the_first_page_is_under_a_megabyte(server: Server, page: Page) -> None:
    """What comes over the line until the first room can be used, compressed as it is sent.

    Most of it is Gradio's own bundle, which it sends with brotli; ours is a small part, and is held to a figure of
    its own.
    """
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    addresses, sizes = dict[str, str](), dict[str, float]()
    line.on("Network.requestWillBeSent", lambda e: addresses.update({e["requestId"]: e["request"]["url"]}))
    line.on("Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]}))
    page.goto(server.url, wait_until="domcontentloaded", timeout=LONG)
    expect(page.locator("#concepts-room[data-ready]")).to_be_visible(timeout=LONG)
    ours = sum(size for id, size in sizes.items() if "/studio/" in addresses[id])
    whole = sum(sizes.values())
    print(f"\nfirst page: {whole / 1000:.0f} kB in {len(sizes)} answers, ours {ours / 1000:.0f} kB, "
          f"the framework's {(whole - ours) / 1000:.0f} kB")
    assert ours > 20_000, "our scripts were not counted"
    assert whole < FIRST_PAGE
    assert ours < OURS


def test_it_can_be_used_within_two_seconds(server: Server, page: Page) -> None:
    only_when_free()
    began = time.perf_counter()
    page.goto(server.url, wait_until="domcontentloaded")
    expect(page.locator("#concepts-room[data-ready]")).to_be_visible(timeout=LONG)
    page.locator("#name-0").fill("mykoala")
    took = time.perf_counter() - began
    print(f"\nusable after {took:.2f} s")
    assert took < USABLE


def test_clicks_answer_at_once_while_a_training_runs(server: Server, page: Page) -> None:
    """Through the rooms, those that only change the page and those that ask the studio."""
    only_when_free()
    page.goto(server.url, wait_until="domcontentloaded", timeout=LONG)
    expect(page.locator("#concepts-room[data-ready]")).to_be_visible(timeout=LONG)
    for room in ("train", "create", "library", "system", "concepts"):
        open_room(page, room)
    run = _train(server, page)
    flipped = "[...document.querySelectorAll('.s-frame')][0].style.transform {} 'scaleX(-1)'"
    times = []
    for turn in range(CLICKS // 10):
        odd = turn % 2
        for selector, there in (
            ("[role=tab][data-tab-id=concepts]", SHOWN.format("concepts")),
            ("[data-act=flip]", flipped.format("!==" if odd else "===")),
            ("[role=tab][data-tab-id=train]", SHOWN.format("train")),
            (f"input[name=method][value={'lora' if odd else 'perfusion'}]",
             "document.querySelector('#field-steps input').placeholder !== ''"),
            ("[role=tab][data-tab-id=create]", SHOWN.format("create")),
            (f"[data-mode={'plain' if odd else 'grid'}]", f"{'!' if odd else ''}document.querySelector('#x-field')"),
            ("[role=tab][data-tab-id=library]", SHOWN.format("library")),
            ("#tags .s-chip", f"document.querySelectorAll('#cards .s-card').length === {3 if odd else 1}"),
            ("[role=tab][data-tab-id=system]", SHOWN.format("system")),
            (f"#theme [data-value={'light' if odd else 'dark'}]",
             f"{'!' if odd else ''}document.body.classList.contains('dark')"),
        ):
            times.append(page.evaluate(CLICK, [selector, there]))
    state = page.request.get(f"{server.url}/studio/runs/{run}").json()
    page.request.post(f"{server.url}/studio/runs/{run}/stop")
    assert state["state"] == "running" and state["step"] > 0, "there was no training beside it"
    quick = sum(t <= ANSWER for t in times) / len(times)
    times.sort()
    print(f"\n{len(times)} clicks at step {state['step']}: half within {times[len(times) // 2]:.0f} ms, 95% within "
          f"{times[int(MOST * len(times)) - 1]:.0f} ms, the slowest {times[-1]:.0f} ms")
    assert len(times) == CLICKS and quick >= MOST


def _train(server: Server, page: Page) -> str:
    """A training of the starter with the fast preset, long enough for all clicks, once it is at its first steps."""
    ask = page.request
    draft = ask.post(f"{server.url}/studio/drafts").json()["id"]
    for koala in KOALAS:
        ask.post(f"{server.url}/studio/drafts/{draft}/pictures",
                 multipart={"files": {"name": koala.name, "mimeType": "image/png", "buffer": koala.read_bytes()}})
    ask.patch(f"{server.url}/studio/drafts/{draft}", data={"things": [{"name": "felt", "noun": "bear"}]})
    answer = ask.post(f"{server.url}/studio/runs", data={"draft": draft, "preset": "fast", "settings": {"steps": 4000}})
    assert answer.ok, answer.text()
    run: str = answer.json()["id"]
    for _ in range(600):
        if ask.get(f"{server.url}/studio/runs/{run}").json()["step"]:
            return run
        page.wait_for_timeout(200)
    raise AssertionError("the training made no step within two minutes")
