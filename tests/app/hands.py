"""What a person does in the page with a mouse, a keyboard or a finger."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

SOON = 6_000  # milliseconds


def put_together(page: Page, pictures: list[Path], name: str, noun: str) -> None:
    """A new draft with these pictures of one thing."""
    page.get_by_role("tab", name="Concepts").click()
    page.locator("#new-draft").click()
    expect(page.locator("#shots[data-count='0']")).to_be_visible(timeout=20_000)
    page.locator("#pictures").set_input_files(pictures)
    expect(page.locator(f"#shots[data-count='{len(pictures)}']")).to_be_visible(timeout=20_000)
    page.locator("#name-0").fill(name)
    page.locator("#noun-0").fill(noun)


def on_to_train(page: Page, about: str) -> None:
    """On to the Train room with the draft that is open, which says `about` there."""
    page.locator("#teach-this").click()
    expect(page.locator("#about-draft")).to_contain_text(about, timeout=20_000)


def stroke(page: Page, *points: tuple[float, float]) -> None:
    """Paint along points, which are shares of the picture."""
    canvas = page.locator(".s-canvas")
    box = canvas.bounding_box()
    assert box
    where = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*where[0])
    page.mouse.down()
    for point in where:
        page.mouse.move(*point, steps=6)
    page.mouse.up()
    expect(page.locator(".s-canvas[data-saved=true]")).to_be_visible(timeout=20_000)


def finger(page: Page, *points: tuple[float, float]) -> None:
    """Draw a finger over the canvas, along points that are shares of the picture."""
    box = page.locator(".s-canvas").bounding_box()
    assert box
    where = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in points]
    touch = page.context.new_cdp_session(page)
    for kind, point in (("touchStart", where[0]), *(("touchMove", at) for at in where), ("touchEnd", None)):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point] if point else []})


def tap(button: Locator, shows: Locator | None = None, leaves: Locator | None = None) -> None:
    """Tap until `shows` is seen, or `leaves` is gone: a browser that is starved takes a tap for a long press, which is
    no click."""
    there = leaves if shows is None else shows
    assert there
    for _ in range(4):
        try:
            button.tap(timeout=SOON)  # what the tap before has opened may cover it
            there.wait_for(state="visible" if shows else "detached", timeout=SOON)
            return
        except PlaywrightTimeout:
            continue
    if shows:
        expect(shows).to_be_visible()
    else:
        expect(there).to_have_count(0)


def tap_for_files(page: Page, button: Locator, files: list[Path]) -> None:
    """Tap until the phone's picker of several files comes, and choose there."""
    for turn in range(4):
        try:
            with page.expect_file_chooser(timeout=SOON) as picker:
                button.tap()
        except PlaywrightTimeout:
            if turn == 3:
                raise
            continue
        assert picker.value.is_multiple()
        picker.value.set_files(files)
        return
