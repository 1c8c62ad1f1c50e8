"""The form of the Create room in a real browser: what it keeps, how it is searched, what it says."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, PngImagePlugin
from playwright.sync_api import Page, Route, expect

from adapters.identity import BaseIdentity
from adapters.perfusion import PerfusionAdapter
from adapters.record import AdapterRecord
from adapters.studio_file import save
from app.home import Home
from app.library.library import Library
from pipelines.base_models.skeleton import skeleton
from tests.app.browser import DROP, MARKS, Server, open_room, open_studio, serving
from tests.app.filled import KOALAS, PROMPTS, fill

pytestmark = MARKS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("form")
    fill(home)
    _perfusion(home)
    with serving(home) as running:
        yield running


def _perfusion(root: Path) -> None:
    """An adapter of Perfusion for Stable Diffusion 1, random numbers, trained with a bias of 0.6."""
    host = skeleton("sd1")
    wide = host.unet.config.cross_attention_dim
    targets = {p: torch.randn(m.weight.shape[0]) for p, m in host.cross_attention().items()}
    made = PerfusionAdapter("<teddy>", "bear", (torch.randn(1, wide),), torch.randn(wide), torch.randn(wide), targets)
    base = BaseIdentity(family="sd1", name="v1-5", hash="0123456789abcdef")
    save(root / "made.safetensors", made, AdapterRecord(
        kind="perfusion", method="perfusion", name="teddy", base=base, trigger="<teddy>", class_noun="bear",
        spec={**made.spec, "bias": 0.6}))
    Library(Home.open(str(root))).add(root / "made.safetensors", "teddy")
    (root / "made.safetensors").unlink()


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


def _drop(page: Page, file: Path) -> None:
    page.evaluate(DROP, ["#create-room", file.name, base64.b64encode(file.read_bytes()).decode()])


def test_a_dropped_picture_brings_its_settings_from_here_or_from_a1111(server: Server, page: Page,
                                                                       tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a red fox in the snow\nNegative prompt: blurry\nSteps: 31, Sampler: DPM++ 2M, "
                                "Schedule type: Karras, CFG scale: 6.5, Seed: 1234, Size: 448x320, Model: foxes")
    Image.new("RGB", (64, 64)).save(tmp_path / "foreign.png", pnginfo=text)
    open_room(page, "create")
    page.get_by_text("Sampler, size, second pass").click()
    prompt, toast = page.locator("#prompt textarea"), page.locator(".s-toast")

    def shown(**fields: str) -> None:
        for name, value in fields.items():
            expect(page.locator(f"#{name}")).to_have_value(value)

    _drop(page, sorted((server.home / "images").glob("*.png"))[1])
    expect(prompt).to_have_value(PROMPTS[1])
    expect(page.locator("#seed input")).to_have_value("1")
    shown(**{"gen-steps": "20", "gen-sampler": "DDIM", "guidance": "4", "width": "256", "height": "256"})
    expect(page.locator("[data-adapter=tiger]")).to_be_visible()

    _drop(page, tmp_path / "foreign.png")
    expect(prompt).to_have_value("a red fox in the snow")
    expect(page.locator("#seed input")).to_have_value("1234")
    expect(page.locator("#negative input")).to_have_value("blurry")
    shown(**{"gen-steps": "31", "gen-sampler": "DPM++ 2M", "gen-schedule": "Karras", "guidance": "6.5", "width": "448",
             "height": "320"})
    expect(page.locator("[data-adapter]")).to_have_count(0)
    expect(toast.last).to_contain_text("the model 'foxes'")

    _drop(page, KOALAS[0])  # has no settings: it can be painted from
    toast.get_by_role("button", name="Paint from it").last.click()
    expect(page.locator("#from-picture img, #from-picture canvas").first).to_be_visible()
    expect(prompt).to_have_value("a red fox in the snow")


def test_perfusions_dials_paint_anew_while_they_are_moved_once_live_is_on(server: Server, page: Page) -> None:
    """The painter is played here, since no Stable Diffusion is."""
    asked: list[dict[str, Any]] = []
    gone: list[str] = []

    def answer(route: Route) -> None:
        one = route.request.url.rpartition("/")[2]
        if route.request.method == "POST":
            asked.append(route.request.post_data_json)
            one = str(len(asked))
        elif route.request.method == "DELETE":
            gone.append(one)
        told = {"id": one, "state": "cancelled" if one in gone else "painting", "message": "", "columns": [""],
                "rows": ["seed 0"], "images": [[""]], "sheet": "", "step": [1, 20], "done": 0, "total": 1,
                "preview": "", "compared": False, "unseen": False}
        route.fulfill(json=[] if one == "paintings" else told)

    page.route("**/studio/images/paintings", answer)
    page.route("**/studio/images/paintings/*", answer)
    open_studio(page, server)
    open_room(page, "create")
    page.locator("#concept [data-name=teddy]").click()
    bias, locking = page.locator("[data-dial=bias]"), page.locator("#locking")
    expect(bias).to_have_value("0.6")
    bias.fill("0.7")
    page.wait_for_timeout(700)
    assert asked == []  # not live yet
    page.locator("#live").check()

    def paints(turn: int, *dials: str) -> None:
        for _ in range(200):
            if len(asked) >= turn and len(gone) >= turn - 1:
                break
            page.wait_for_timeout(50)
        expect(page.locator("#output[data-state=painting]")).to_be_visible()
        assert len(asked) == turn and gone == [str(n) for n in range(1, turn)]
        (used,) = asked[-1]["adapters"]
        assert used.startswith("teddy:1:") and set(dials) <= set(used.removeprefix("teddy:1:").split(","))
        assert asked[-1]["request"] == asked[0]["request"]  # the same seed: what changes is the dial's

    bias.fill("0.9")
    paints(1, "bias=0.9", "locking=local")
    locking.select_option("global")
    paints(2, "bias=0.9", "locking=global")
    page.locator("[data-dial=temperature]").fill("0.2")
    paints(3, "bias=0.9", "temperature=0.2", "locking=global")
    page.unroute_all(behavior="ignoreErrors")
