"""The form of the Create room in a real browser: what it keeps, how it is searched, what it says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.app.browser import MARKS, Server, open_room, open_studio, serving
from tests.app.filled import PROMPTS, fill

pytestmark = MARKS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("form")
    fill(home)
    with serving(home) as running:
        yield running


def test_settings_of_a_picture_leave_private_on_and_can_be_undone(page: Page) -> None:
    open_room(page, "create")
    page.locator("#prompt textarea").fill("a long prompt of my own")
    page.get_by_text("Sampler, size, second pass").click()
    page.locator("#private").check()
    page.locator("#gen-steps").fill("33")
    page.locator("#history .s-open").first.click()
    page.locator("#use-settings").click()
    expect(page.locator("#prompt textarea")).to_have_value(PROMPTS[0])
    expect(page.locator("#gen-steps")).to_have_value("20")
    expect(page.locator("#private")).to_be_checked()
    page.locator(".s-toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#prompt textarea")).to_have_value("a long prompt of my own")
    expect(page.locator("#gen-steps")).to_have_value("33")
    expect(page.locator("#private")).to_be_checked()
    page.wait_for_function("'semblance.create' in localStorage")  # it is kept a moment after the last change
    assert "long prompt" not in page.evaluate("localStorage.getItem('semblance.create')")


def test_many_concepts_are_searched_by_name_and_word(server: Server, page: Page) -> None:
    open_room(page, "create")
    expect(page.locator("#find-concept")).to_be_hidden()

    def many(route: Route) -> None:
        told = route.fetch().json()
        one = {**told["adapters"][0], "phrases": ["zok bear"], "dials": {}}
        route.fulfill(json={**told, "adapters": [{**one, "name": f"thing{n}"} for n in range(11)]
                            + [{**one, "name": "last", "phrases": ["blue whale"]}]})

    page.route("**/studio/images/choices", many)
    open_studio(page, server)
    open_room(page, "create")
    chips = page.locator("#concept button")
    expect(chips).to_have_count(12)
    page.locator("#concept [data-name=thing3]").click()
    page.locator("#find-concept").fill("WHALE")
    expect(chips).to_have_text(["thing3", "last"])  # what is chosen stays in sight
    page.locator("#find-concept").press("Enter")
    expect(page.locator("#output[data-state]")).to_have_count(0)  # it paints nothing
    page.unroute_all(behavior="ignoreErrors")


def test_side_by_side_says_when_all_columns_get_the_same_words(page: Page) -> None:
    open_room(page, "create")
    page.locator("#prompt textarea").fill("a photo of a zok bear")
    page.locator("[data-mode=beside]").click()
    expect(page.locator("#same-words")).to_be_hidden()
    page.locator("[data-beside=tiger]").click()
    expect(page.locator("#same-words")).to_contain_text("the same words")
    page.locator("#prompt textarea").fill("a photo of a {}")
    expect(page.locator("#same-words")).to_be_hidden()
