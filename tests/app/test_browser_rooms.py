"""Library and System in a real browser, on a library that is there already."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Page, Route, TimeoutError, expect
from safetensors.torch import save_file

from adapters.identity import BaseIdentity
from adapters.record import AdapterRecord
from app.home import Home
from app.library.library import Library
from pipelines.shipped import ASSETS, SAMPLES
from tests.app.browser import MARKS, Server, serving, shot
from tests.app.http.test_library_routes import word_file

MARKUP = "<img src=x onerror=\"document.title='broken in'\">"

pytestmark = MARKS


def _fill(home: Path) -> None:
    """Three adapters: one measured and with a preview, one whose notes are markup, one plain."""
    library = Library(Home.open(str(home)))
    base = AdapterRecord(kind="tokens", method="textual-inversion", name="", class_noun="cat",
                         base=BaseIdentity(family="sd1", name="v1-5", hash="0123456789abcdef"))
    for name in ("tiger", "mybear", "mycup"):
        made = word_file(home / f"{name}.safetensors", base.model_copy(update={"name": name}))
        library.add(made, name, SAMPLES / "koala" / "0.png" if name != "mycup" else None)
        made.unlink()
    library.add_figures("tiger", {"encoder": "the judge", "images": 8, "identity": 0.71, "prompt": 0.27,
                                  "interval": {"identity": 0.02, "prompt": 0.01}})
    card = library.folder / "mybear.md"
    card.write_text(card.read_text("utf-8") + f"\n{MARKUP} `{MARKUP}`\n", "utf-8")
    library.remark("mybear", ["toys"], MARKUP)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    _fill(tmp_path / "home")
    with serving(tmp_path / "home") as running:
        yield running


def _room(page: Page, name: str, id: str) -> None:
    tab = page.get_by_role("tab", name=name)
    expect(page.locator(".tab-wrapper")).to_be_visible(timeout=60_000)
    try:
        tab.click(timeout=3_000)
    except TimeoutError:  # in the menu of those that have no room; the bar decides that some time after a resize
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button", has_text=name).click()
    expect(page.locator(f"#{id}-room[data-ready]")).to_be_visible(timeout=60_000)


def _ask(server: Server, path: str) -> Any:
    with urllib.request.urlopen(f"{server.url}/studio/{path}") as answer:
        return json.load(answer)


def test_adapters_are_found_named_tagged_exported_brought_back_and_taken_in(page: Page, server: Server,
                                                                           tmp_path: Path) -> None:
    _room(page, "Library", "library")
    cards = page.locator("#cards .s-card")
    expect(cards).to_have_count(3)
    shot(page, "library")
    page.locator("#search").fill("nothing of that name")
    expect(page.locator("#cards")).to_contain_text("Nothing matches")
    page.locator("#search").fill("TIGER v1-5")
    expect(cards).to_have_count(1)

    page.locator(".s-copy").click()
    expect(page.locator(".s-copy[data-copied]")).to_be_visible()
    page.locator("[data-act=rename]").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("lion")
    page.get_by_role("textbox", name="Name", exact=True).press("Enter")
    expect(page.locator("#cards")).to_contain_text("Nothing matches")
    page.locator("#search").fill("lion")
    page.locator("[data-name=lion] [data-act=tags]").click()
    page.get_by_label("Tags", exact=True).fill("pets, soft fur")
    page.get_by_label("Tags", exact=True).press("Enter")
    expect(page.locator("#tags")).to_contain_text("soft fur 1")

    page.locator("[data-act=export]").click()
    page.locator("[data-format=a1111]").click()
    expect(page.locator("#check.good")).to_contain_text("1 of 1 keys read back", timeout=120_000)
    shot(page, "export")
    with page.expect_download() as download:
        page.locator(".s-download").click()
    assert download.value.suggested_filename == "lion.safetensors"
    page.locator("#export").get_by_role("button", name="Close").click()

    page.locator("[data-act=delete]").click()
    expect(page.locator("#cards")).to_contain_text("Nothing matches")
    assert [e["name"] for e in _ask(server, "library")["entries"]] == ["mycup", "mybear"]
    page.locator(".s-toast").get_by_role("button", name="Undo").click()
    expect(page.locator("[data-name=lion]")).to_be_visible()
    assert _ask(server, "library/lion")["tags"] == ["pets", "soft fur"]

    held: list[Route] = []
    page.route("**/studio/library?file=*", lambda route: held.append(route))
    (tmp_path / "none.safetensors").write_bytes(b"\xff" * 3_000_000)
    page.locator("#import input").set_input_files(tmp_path / "none.safetensors")
    expect(page.locator("#importing progress")).to_be_visible()
    expect(page.locator("#importing")).to_contain_text("none.safetensors")
    held[0].continue_()
    expect(page.locator(".s-toast")).to_contain_text("'none.safetensors' is not a whole", timeout=20_000)
    expect(page.locator("#importing progress")).to_have_count(0)


def test_a_strangers_card_and_notes_stay_text(page: Page) -> None:
    _room(page, "Library", "library")
    page.locator("[data-name=mybear] [data-act=about]").click()
    about = page.locator("#about")
    expect(about.locator("#model-card")).to_contain_text(MARKUP)
    expect(about.locator("#origin")).to_contain_text("aaaaaaaaaaaa")
    expect(about.locator("#notes")).to_have_value(MARKUP)
    assert about.locator("img").count() == 0 and page.title() == "Semblance"
    shot(page, "about")


def test_language_and_theme_are_kept_in_the_browser_and_offline_on_disk(page: Page, server: Server) -> None:
    held: list[Route] = []
    page.route("**/system/device", lambda route: held.append(route))
    _room(page, "System", "system")
    expect(page.locator("#doctor")).to_contain_text("looking")
    assert page.locator("#missing").count() == 0  # before it has looked it knows nothing of that
    held[0].continue_()
    expect(page.locator("#missing")).to_be_visible(timeout=120_000)
    page.unroute("**/system/device")
    expect(page.locator("#helpers [data-helper]")).to_have_count(6)
    page.locator("#language [data-value=de]").click()
    page.locator("#theme [data-value=dark]").click()
    page.locator("#offline [data-value=on]").click()
    expect(page.locator("#switches")).to_contain_text("wird nach nichts gefragt")
    assert _ask(server, "system")["offline"] is True
    expect(page.locator("#helpers")).to_contain_text("Im Offline-Modus kann nichts geholt werden")
    expect(page.locator("#helpers button")).to_have_count(0)
    page.reload(wait_until="domcontentloaded")
    _room(page, "Bibliothek", "library")
    expect(page.locator("#brand")).to_contain_text("Zeig einem Bildmodell")
    assert page.evaluate("document.body.classList.contains('dark')")
    shot(page, "library-dark")
    _room(page, "Einstellungen", "system")
    expect(page.locator("#doctor")).to_contain_text("trainiert in", timeout=120_000)
    shot(page, "system-dark")
    page.locator("#language [data-value=en]").click()
    page.locator("#theme [data-value=light]").click()
    expect(page.get_by_role("tab", name="Library")).to_be_visible()
    assert not page.evaluate("document.body.classList.contains('dark')")


def test_the_trash_is_emptied_once_a_person_is_sure(page: Page, server: Server) -> None:
    _room(page, "Library", "library")
    page.locator("[data-name=tiger] [data-act=delete]").click()
    expect(page.locator("#cards .s-card")).to_have_count(2)
    _room(page, "System", "system")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.locator("#empty-trash").click()
    assert [d["name"] for d in _ask(server, "trash")] == ["tiger"]
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#empty-trash").click()
    expect(page.locator(".s-toast")).to_contain_text("are free again", timeout=20_000)
    expect(page.locator("#empty-trash")).to_have_count(0)
    assert _ask(server, "trash") == []


def test_a_base_is_added_by_path_and_by_upload_and_taken_out(page: Page, server: Server, tmp_path: Path) -> None:
    shutil.copytree(ASSETS / "sd1", tmp_path / "mine")  # the configurations of Stable Diffusion 1, next to no weights
    save_file({"x": torch.zeros(50_000)}, tmp_path / "mine" / "unet" / "diffusion_pytorch_model.safetensors")
    _room(page, "System", "system")
    page.locator("#base-spec").fill(str(tmp_path / "nowhere"))
    page.locator("#base-add").click()
    expect(page.locator("#hub-answer .bad")).to_contain_text("No base model at")
    page.locator("#base-spec").fill(str(tmp_path / "mine"))
    page.locator("#base-add").click()
    expect(page.locator("[data-base=mine]")).to_be_visible(timeout=20_000)
    for name, select in (("Train", "#train-base"), ("Create", "#base")):
        _room(page, name, name.lower())
        expect(page.locator(f"{select} option", has_text="mine")).to_have_count(1)
    _room(page, "System", "system")
    (tmp_path / "none.safetensors").write_bytes(b"\xff" * 3_000_000)
    page.locator("#base-file").set_input_files(tmp_path / "none.safetensors")
    expect(page.locator("#hub-answer .bad")).to_contain_text("'none.safetensors' is not a whole", timeout=20_000)
    shot(page, "system")
    _fetch_a_helper(page)
    page.locator("[data-base=mine] [data-act=remove-base]").click()
    expect(page.locator("[data-base=mine]")).to_have_count(0)
    assert [b["spec"] for b in _ask(server, "bases")] == ["starter"]


def _fetch_a_helper(page: Page) -> None:
    """The licence first, then how far it is; the hub is played here."""
    sam = "facebook/sam-vit-base"
    coming = {"id": sam, "licence": "apache-2.0", "state": "running", "done": 150_000_000, "total": 375_000_000,
              "message": "", "helper": True}
    page.route("**/studio/hub", lambda route: route.fulfill(json={
        "id": sam, "licence": "apache-2.0", "licence_link": "", "gated": False, "bytes": 375_000_000}))
    page.route("**/studio/downloads", lambda route: route.fulfill(
        json=[coming] if route.request.method == "GET" else coming))
    row = page.locator(f"[data-helper='{sam}']")
    page.get_by_role("button", name="Fetch SAM").click()
    expect(row).to_contain_text("Its licence: apache-2.0")
    expect(row).to_contain_text("Fetches up to 375 MB")
    row.get_by_role("button", name="Download").click()
    expect(row).to_contain_text("150 MB of 375 MB", timeout=20_000)
    expect(row.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.locator("#downloads")).not_to_contain_text(sam)  # it is no base
    for path in ("hub", "downloads"):
        page.unroute(f"**/studio/{path}")


def test_both_rooms_fit_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for name, id in (("Library", "library"), ("System", "system")):
        _room(page, name, id)
        page.wait_for_timeout(600)
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 1, name
        shot(page, f"phone-{id}")
