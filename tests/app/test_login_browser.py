"""Logging in and out with the keyboard alone, in a real browser: a form has to pass the check of its Origin."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from app.accounts.people import Register
from app.home import Home
from tests.app.browser import CHROMIUM, FLAGS, MARKS, Server
from tests.app.people import PASSWORD

pytestmark = MARKS


def test_a_person_logs_in_sees_the_rooms_and_logs_out(tmp_path: Path) -> None:
    register = Register(Home.open(str(tmp_path / "home")))
    register.accounts.add("ada", PASSWORD, "admin")
    server = Server(tmp_path / "home")
    odd: list[str] = []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page()
            page.on("pageerror", lambda error: odd.append(str(error)))
            page.on("response", lambda r: odd.append(r.url) if r.status >= 400 and "/login" not in r.url else None)
            page.goto(server.url, wait_until="domcontentloaded")
            expect(page.locator("#name")).to_be_focused()
            page.keyboard.type("ada")
            page.keyboard.press("Tab")
            page.keyboard.type("wrong wrong wrong")
            page.keyboard.press("Enter")
            expect(page.locator("#problem")).to_contain_text("do not belong together")
            page.keyboard.type(PASSWORD)  # the name is kept, the password is where one types
            page.keyboard.press("Enter")
            expect(page.locator("#account")).to_contain_text("ada (admin)")
            expect(page.locator("#concepts-room")).to_contain_text("Drop pictures here")
            page.locator("#log-out").click()
            page.wait_for_url("**/login")
            page.goto(server.url, wait_until="domcontentloaded")
            expect(page.locator("#password")).to_be_visible()
            browser.close()
    finally:
        server.stop()
    assert odd == []
