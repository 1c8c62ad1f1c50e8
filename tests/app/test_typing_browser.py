"""Nothing that a person types is lost, and nothing takes the focus from who works by keys, in a real browser."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from pipelines.shipped import SAMPLES
from tests.app.browser import MARKS, Server, open_room, open_studio, shot

pytestmark = MARKS
KOALAS = sorted((SAMPLES / "koala").glob("*.png"))
SOON = 20_000


@pytest.fixture
def captions(server: Server, page: Page) -> Locator:
    """The caption fields of a new draft with two pictures."""
    draft = page.request.post(f"{server.url}/studio/drafts").json()["id"]
    page.goto(f"{server.url}/?draft={draft}", wait_until="domcontentloaded")
    expect(page.locator("#shots[data-count='0']")).to_be_visible(timeout=60_000)
    page.locator("#pictures").set_input_files(KOALAS[:2])
    expect(page.locator("#shots[data-count='2']")).to_be_visible(timeout=SOON)
    expect(page.locator("#concepts-room[data-busy]")).to_have_count(0)
    return page.locator(".s-shot textarea")


def kept(server: Server) -> dict[str, Any]:
    """The draft that was changed last, as the studio has it."""
    with urllib.request.urlopen(f"{server.url}/studio/drafts") as answer:
        newest = json.load(answer)[0]["id"]
    with urllib.request.urlopen(f"{server.url}/studio/drafts/{newest}") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def until_kept(server: Server, page: Page, *wanted: str) -> None:
    """Wait until the captions are these."""
    for _ in range(100):
        if (found := [s["caption"] for s in kept(server)["shots"]]) == list(wanted):
            return
        page.wait_for_timeout(100)
    raise AssertionError(found)


def silent(route: Route) -> None:
    route.abort()


def test_what_cannot_be_saved_is_said_and_tried_again_until_it_is(server: Server, page: Page,
                                                                  captions: Locator) -> None:
    page.route("**/pictures/*", lambda r: silent(r) if r.request.method == "PATCH" else r.continue_())
    captions.first.fill("a zok bear")
    expect(page.locator("#unsaved")).to_contain_text("The studio did not answer", timeout=SOON)
    page.locator("[data-act=flip]").nth(1).click()  # its answer does not put the old caption back
    expect(page.locator(".s-toast:not(#unsaved)")).to_contain_text("The studio did not answer", timeout=SOON)
    expect(captions.first).to_have_value("a zok bear")
    page.unroute_all(behavior="ignoreErrors")
    expect(page.locator("#unsaved")).to_have_count(0, timeout=SOON)
    until_kept(server, page, "a zok bear", "")


def test_a_caption_is_not_lost_by_a_flip_nor_by_leaving_and_is_there_on_another_device(server: Server, page: Page,
                                                                                      captions: Locator) -> None:
    captions.first.fill("typed")
    page.locator("[data-act=flip]").first.click()
    expect(page.locator(".s-frame").first).to_have_css("transform", "matrix(-1, 0, 0, 1, 0, 0)", timeout=SOON)
    expect(captions.first).to_have_value("typed")
    captions.nth(1).fill("typed last")
    open_studio(page, server)
    until_kept(server, page, "typed", "typed last")
    assert page.context.browser
    with page.context.browser.new_context() as elsewhere:  # a phone, say: it has looked at nothing yet
        other = elsewhere.new_page()
        open_studio(other, server)
        expect(other.locator(".s-shot textarea").first).to_have_value("typed")
        expect(other.locator(".s-shot textarea").nth(1)).to_have_value("typed last")


def test_a_finished_upload_leaves_the_field_that_is_typed_in(page: Page, captions: Locator) -> None:
    captions.first.focus()
    page.keyboard.type("a zok")
    page.locator("#pictures").set_input_files(KOALAS[2:4])
    page.keyboard.type(" bear", delay=60)
    expect(page.locator("#shots[data-count='4']")).to_be_visible(timeout=SOON)
    page.keyboard.type(" here")
    expect(captions.first).to_be_focused()
    expect(captions.first).to_have_value("a zok bear here")


def test_captions_and_masks_come_one_by_one_and_leave_what_is_typed(server: Server, page: Page,
                                                                   captions: Locator) -> None:
    """The studio's part is tested without a browser; here a caption comes when the test lets it."""
    asked: list[Route] = []

    def written(shot: dict[str, Any], text: str) -> None:
        draft = kept(server)
        ask = urllib.request.Request(f"{server.url}/studio/drafts/{draft['id']}/pictures/{shot['id']}", method="PATCH",
                                     data=json.dumps({"caption": text}).encode(),
                                     headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(ask) as answer:
            told = json.load(answer)
        asked.pop().fulfill(json={"written_by": "BLIP", "draft": told})

    page.route("**/studio/captioners", lambda r: r.fulfill(json=["BLIP"]))
    page.route("**/pictures/*/caption", lambda route: asked.append(route))
    first, _ = kept(server)["shots"]
    page.locator(".s-more summary").click()
    page.locator("#write-captions").click()
    expect(page.locator("#write-captions")).to_have_text("Writing 1 of 2", timeout=SOON)
    expect(page.locator("#write-captions")).to_be_disabled()
    written(first, "a bear")
    expect(captions.first).to_have_value("a bear", timeout=SOON)
    expect(page.locator("#write-captions")).to_have_text("Writing 2 of 2")
    captions.nth(1).fill("mine")
    page.locator("#stop-writing").click()
    asked.pop().fulfill(json={"written_by": "", "draft": kept(server)})
    expect(page.locator("#write-captions")).to_be_enabled(timeout=SOON)
    expect(page.locator(".s-toast")).to_contain_text("One caption is written by BLIP")
    until_kept(server, page, "a bear", "mine")

    page.route("**/masks/*/find", lambda route: asked.append(route))
    page.locator("#find-all").click()
    expect(page.locator(".s-toast")).to_contain_text("Say first what the thing is")
    page.locator("#noun-0").fill("bear")
    page.locator("#find-all").click()
    expect(page.locator("#finding-all")).to_have_text("Looking: 1 of 2…", timeout=SOON)
    expect(page.locator("#find-all")).to_be_disabled()
    assert asked[0].request.post_data_json == {"base": "starter"}
    asked.pop().fulfill(status=400, json={"error": "GrabCut found nothing there; point at another place, or paint it "
                                                   "by hand."})
    expect(page.locator("#not-found")).to_have_text("The bear in '0.png': GrabCut found nothing there; point at "
                                                    "another place, or paint it by hand.")
    expect(page.locator("#finding-all")).to_have_text("Looking: 2 of 2…")
    shot(page, "finding-all")
    page.locator("#stop-finding").click()
    found = kept(server)
    found["shots"][1]["masks"] = [found["things"][0]["id"]]
    asked.pop().fulfill(json={"found_by": "GrabCut, begun where the base looks,", "draft": found})
    expect(page.locator(".s-shot[data-masks='1']")).to_have_count(1, timeout=SOON)
    expect(page.locator(".s-toast")).to_contain_text("One mask is found by GrabCut; look it over")
    expect(page.locator("#find-all")).to_be_enabled()
    page.unroute_all(behavior="ignoreErrors")


def test_captions_come_from_text_files_that_are_chosen(page: Page, captions: Locator, tmp_path: Path) -> None:
    text = tmp_path / f"{KOALAS[1].stem}.txt"
    text.write_text("from a file", "utf-8")
    assert ".txt" in (page.locator("#pictures").get_attribute("accept") or "")
    page.locator("#pictures").set_input_files(text)
    expect(captions.nth(1)).to_have_value("from a file", timeout=SOON)


def test_a_mask_that_cannot_be_saved_is_kept_for_later(server: Server, page: Page, captions: Locator) -> None:
    page.locator("[data-act=mask]").first.click()
    canvas = page.locator(".s-canvas[data-ready]")
    expect(canvas).to_be_visible(timeout=SOON)
    page.route("**/masks/*", silent)
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    page.mouse.up()
    page.locator("#editor-done").click()
    expect(page.locator("#unsaved")).to_be_visible(timeout=SOON)
    page.unroute_all(behavior="ignoreErrors")
    expect(page.locator(".s-shot[data-masks='1']")).to_have_count(1, timeout=SOON)
    expect(page.locator("#unsaved")).to_have_count(0)


def reach(page: Page, selector: str) -> Locator:
    """Go there by the Tab key."""
    wanted = page.locator(selector).first
    for _ in range(150):
        if wanted.evaluate("e => e === document.activeElement"):
            return wanted
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached")


def _paint_and_crop(page: Page) -> None:
    """A dab of the brush left of the middle, and a crop, by keys alone; the pictures are square."""
    def go(**steps: int) -> None:
        for arrow, count in steps.items():
            for _ in range(count):
                page.keyboard.press(f"Shift+Arrow{arrow}")

    expect(page.locator("#editor-hint")).to_contain_text("Space or Enter presses there")
    reach(page, ".s-canvas")
    go(Left=2)
    page.keyboard.press("Space")
    expect(page.locator(".s-canvas[data-saved=true]")).to_be_focused(timeout=SOON)
    shot(page, "keys-brush")
    reach(page, "[data-tool=crop]")
    page.keyboard.press("Enter")
    expect(page.locator("#editor-hint")).to_contain_text("sets one corner, then the other")
    reach(page, ".s-canvas")
    go(Up=2)
    page.keyboard.press("Enter")
    go(Right=5, Down=5)
    shot(page, "keys-crop")
    page.keyboard.press("Enter")


def test_who_works_by_keys_stays_where_they_pressed_and_paints(server: Server, page: Page, captions: Locator) -> None:
    expect(reach(page, "[data-act=flip]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".s-frame").first).to_have_css("transform", "matrix(-1, 0, 0, 1, 0, 0)", timeout=SOON)
    expect(page.locator("[data-act=flip]").first).to_be_focused()
    reach(page, "[data-act=mask]")
    page.keyboard.press("Enter")
    expect(page.locator(".s-canvas[data-ready]")).to_be_visible(timeout=SOON)
    for tool in ("erase", "box", "brush"):
        reach(page, f"[data-tool={tool}]")
        page.keyboard.press("Enter")
        expect(page.locator(f"[data-tool={tool}][aria-pressed=true]")).to_be_focused()
    _paint_and_crop(page)
    page.keyboard.press("Escape")
    expect(page.locator("#editor")).to_have_count(0, timeout=SOON)
    expect(page.locator("[data-act=mask]").first).to_be_focused()
    picture, *_ = kept(server)["shots"]
    assert picture["crop"] == pytest.approx([0.3, 0.3, 0.8, 0.8], abs=0.01)
    mask = server.home / "drafts" / kept(server)["id"] / "masks" / f"{picture['id']}-{picture['masks'][0]}.png"
    with Image.open(mask) as painted:
        grey, (width, height) = painted.convert("L"), painted.size
    assert [grey.getpixel((int(x * width), height // 2)) for x in (0.1, 0.3, 0.5)] == [0, 255, 0]
    reach(page, "#teach-this")
    page.keyboard.press("Enter")
    expect(page.locator("#about-draft img").first).to_be_visible(timeout=SOON)
    expect(reach(page, "#start")).to_be_focused()
    open_room(page, "concepts")
    reach(page, "#add-thing")
    page.keyboard.press("Enter")
    expect(page.locator("#name-1")).to_be_visible(timeout=SOON)
    expect(page.locator("#add-thing")).to_be_focused()
    reach(page, "#new-draft")
    page.keyboard.press("Enter")
    expect(page.locator("#shots[data-count='0']")).to_be_visible(timeout=SOON)
    expect(page.locator("#new-draft")).to_be_focused()
    open_room(page, "system")
    reach(page, "#theme [data-value=dark]")
    page.keyboard.press("Enter")
    expect(page.locator("#theme [data-value=dark][aria-pressed=true]")).to_be_focused()
