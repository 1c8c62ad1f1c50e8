"""The Create room in a real browser, on the starter without any adapter."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.app.browser import MARKS, Server, open_studio, shot

pytestmark = MARKS
LONG = 180_000


def room(page: Page) -> None:
    page.get_by_role("tab", name="Create").click()
    expect(page.locator("#create-room[data-ready]")).to_be_visible(timeout=30_000)


def ask(page: Page, prompt: str, **numbers: int) -> None:
    page.locator("#prompt textarea").fill(prompt)
    if not page.locator("#gen-steps").is_visible():
        page.get_by_text("Sampler, size, second pass").click()
    for name, value in numbers.items():
        page.locator({"images": "#images input", "steps": "#gen-steps"}[name]).fill(str(value))


def history(server: Server, query: str = "") -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.url}/studio/images?{query}") as answer:
        found: list[dict[str, Any]] = json.load(answer)["images"]
    return found


def test_pictures_are_painted_kept_liked_deleted_and_their_settings_come_back(server: Server, page: Page,
                                                                              tmp_path: Path) -> None:
    room(page)
    ask(page, "a photo of a (cat:1.2) on the beach", images=2, steps=4)
    page.locator("#gen-sampler").select_option("Euler")
    page.locator("#paint").click()
    expect(page.locator("#pictures[data-count='2']")).to_be_visible(timeout=LONG)
    expect(page.locator("#history")).to_have_attribute("data-count", re.compile("[2-9]"), timeout=20_000)
    newest = history(server)[0]
    assert (newest["made"]["request"]["sampler"], newest["made"]["request"]["steps"]) == ("Euler", 4)
    shot(page, "create-plain")

    page.locator("#history .s-open").first.click()
    expect(page.locator(".s-made")).to_contain_text("Euler")
    page.locator("#favourite").click()
    expect(page.locator("#favourite[aria-pressed=true]")).to_be_visible()
    shot(page, "create-viewer")
    page.keyboard.press("Escape")
    page.locator("#only-favourites").click()
    expect(page.locator("#history[data-count='1']")).to_be_visible()
    page.locator("#only-favourites").click()

    page.locator("#prompt textarea").fill("something else")
    page.locator("#gen-sampler").select_option("")
    page.locator("#history .s-open").first.click()
    page.locator("#use-settings").click()
    expect(page.locator("#prompt textarea")).to_have_value("a photo of a (cat:1.2) on the beach")
    expect(page.locator("#gen-sampler")).to_have_value("Euler")
    assert page.locator("#seed input").input_value() == str(newest["made"]["request"]["seed"])

    page.locator("#prompt textarea").fill("something else")
    page.locator("#settings-file").set_input_files(server.home / "images" / newest["file"])
    expect(page.locator("#prompt textarea")).to_have_value("a photo of a (cat:1.2) on the beach")

    before = len(history(server))
    page.locator("#history .s-open").first.click()
    page.locator("#delete-picture").click()
    expect(page.locator(".s-toast")).to_contain_text("in the trash")
    assert len(history(server)) == before - 1
    page.locator(".s-toast").get_by_role("button", name="Undo").click()
    expect(page.locator(f"#history[data-count='{before}']")).to_be_visible(timeout=10_000)
    page.locator("#past").fill("no such words")
    expect(page.locator("#history[data-count='0']")).to_be_visible(timeout=10_000)


def test_cancel_ends_it_and_a_reload_finds_what_is_under_way(server: Server, page: Page) -> None:
    room(page)
    ask(page, "a dog", images=8, steps=400)
    page.locator("#paint").click()
    expect(page.locator(".s-status")).to_contain_text("step", timeout=LONG)
    open_studio(page, server)
    room(page)
    expect(page.locator("#prompt textarea")).to_have_value("a dog")
    expect(page.locator("#output[data-state=painting]")).to_be_visible(timeout=20_000)
    expect(page.locator(".s-live img")).to_be_visible(timeout=LONG)
    shot(page, "create-live")
    page.locator("#cancel").click()
    expect(page.locator(".s-status")).to_contain_text("Cancelled", timeout=30_000)


def test_a_grid_and_a_painted_mask(server: Server, page: Page) -> None:
    room(page)
    ask(page, "a photo of a red car", images=1, steps=4)
    page.locator("[data-mode=grid]").click()
    page.locator("#x-field").select_option("guidance")
    page.locator("#x-values").fill("1, 6")
    page.locator("#y-field").select_option("prompt")
    page.locator("#paint").click()
    expect(page.locator(".s-toast")).to_contain_text("Type values for 'Words of the prompt'")
    page.locator("#y-values").fill("red, blue")
    page.locator("#paint").click()
    expect(page.locator("#pictures[data-count='4']")).to_be_visible(timeout=LONG)
    expect(page.locator("#sheet")).to_be_visible(timeout=20_000)
    assert history(server)[0]["sheet"]
    shot(page, "create-grid")

    page.locator("[data-mode=plain]").click()
    page.locator("#pictures .s-open").first.click()
    page.get_by_role("button", name="Paint inside it").click()
    canvas = page.locator("#mask-dialog .s-canvas[data-ready]")
    expect(canvas).to_be_visible(timeout=20_000)
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"], steps=6)
    page.mouse.up()
    shot(page, "create-mask")
    page.locator("#mask-done").click()
    expect(page.locator("#from-picture")).to_contain_text("Only inside the mask")
    page.locator("#paint").click()
    expect(page.locator("#pictures[data-count='1']")).to_be_visible(timeout=LONG)
    file = history(server)[0]["file"]
    with urllib.request.urlopen(f"{server.url}/studio/images/{file}/settings") as answer:
        assert "inside a mask" in json.load(answer)["notices"][0]

    open_studio(page, server)  # a reload finds the picture and its mask again, until the server has neither
    room(page)
    expect(page.locator("#from-picture")).to_contain_text("Only inside the mask")
    shutil.rmtree(server.home / "tmp" / "sources")
    open_studio(page, server)
    room(page)
    expect(page.locator("#from-picture .s-drop")).to_be_attached()
    expect(page.locator(".s-toast")).to_have_count(0)


def test_what_is_not_possible_is_one_sentence(page: Page) -> None:
    room(page)
    ask(page, "a cat <lora:ghost:1>", images=1)
    page.locator("#paint").click()
    expect(page.locator(".s-status")).to_contain_text("no adapter 'ghost'", timeout=30_000)
    page.locator("#prompt textarea").fill("a photo of {}")
    page.locator("#paint").click()
    expect(page.locator(".s-toast")).to_contain_text("choose a concept", timeout=10_000)


def test_the_room_fits_a_phone(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_studio(page, server)
    shown = page.get_by_role("tab", name="Create")
    if not shown.is_visible():
        page.locator(".overflow-menu > button").click()
        shown = page.locator(".overflow-dropdown button", has_text="Create")
    shown.click()
    expect(page.locator("#create-room[data-ready]")).to_be_visible(timeout=30_000)
    page.get_by_text("Sampler, size, second pass").click()
    for mode in ("plain", "beside", "grid"):
        page.locator(f"[data-mode={mode}]").click()
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 1, mode
    shot(page, "create-phone")
