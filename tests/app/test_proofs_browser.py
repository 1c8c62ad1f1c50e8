"""Whole paths in a real browser on the real starter: comparing, bringing a file in, the one queue, a second browser."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from playwright.sync_api import Page, expect
from safetensors.torch import save_file

from pipelines.base_models.skeleton import skeleton
from pipelines.shipped import REPOSITORY, SAMPLES
from tests.app.browser import DROP, MARKS, Server, open_room, shot
from tests.app.test_create_browser import ask

pytestmark = MARKS
LONG = 900_000  # milliseconds: two trainings and their pictures, on a machine that may have other work
ATTENTION = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


def teach(page: Page, name: str, pictures: int = 2) -> None:
    """On to the Train room with a new draft of koalas, the fast preset chosen and Advanced open."""
    page.locator("#new-draft").click()
    expect(page.locator("#shots[data-count='0']")).to_be_visible(timeout=60_000)
    page.locator("#pictures").set_input_files(sorted((SAMPLES / "koala").glob("*.png"))[:pictures])
    expect(page.locator(f"#shots[data-count='{pictures}']")).to_be_visible(timeout=60_000)
    page.locator("#name-0").fill(name)
    page.locator("#noun-0").fill("bear")
    page.locator("#teach-this").click()
    expect(page.locator("#about-draft")).to_contain_text(name, timeout=60_000)
    page.get_by_label("Fast preview").check()
    page.locator("#advanced summary").click()


def told(server: Server, path: str) -> Any:
    with urllib.request.urlopen(f"{server.url}/studio/{path}") as answer:
        return json.load(answer)


def shows_comparison(page: Page, rows: int) -> None:
    expect(page.locator("#comparison tbody").first.locator("tr")).to_have_count(rows, timeout=LONG)
    expect(page.locator("#comparison-grid img").first).to_be_visible(timeout=60_000)
    page.wait_for_function("document.querySelector('#comparison-grid img').naturalWidth > 0")


def test_methods_are_compared_from_the_page_and_shown_there(server: Server, page: Page) -> None:
    teach(page, "compared")
    page.locator("#field-steps input").fill("3")
    page.locator("#compare-methods").click()
    dialog = page.locator("#compare-dialog")
    for method in ("perfusion", "break-a-scene"):
        dialog.locator(f"input[value={method}]").set_checked(False)
    for method in ("lora", "textual-inversion"):
        expect(dialog.locator(f"input[value={method}]")).to_be_checked()
    dialog.locator("input[type=number]").fill("1")
    dialog.locator("#compare-prompts").fill("a photo of {} on the beach\n\n pixel art of {} in the snow ")
    shot(page, "compare-dialog")
    dialog.locator("#compare-start").click()
    shows_comparison(page, 3)  # the base alone, and two methods
    expect(page.locator("#comparison")).to_contain_text("textual-inversion")
    (run,) = [r["id"] for r in told(server, "runs") if r["kind"] == "compare"]
    result = told(server, f"runs/{run}/result")
    assert [row["method"] for row in result["rows"]] == ["none", "lora", "textual-inversion"]
    assert result["prompts"] == ["a photo of {} on the beach", "pixel art of {} in the snow"]
    shot(page, "comparison")


def run_script(script: str) -> str:
    """What it prints."""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_readmes_scripts_teach_and_paint(server: Server, tmp_path: Path) -> None:
    """The README's examples, as they stand there, against this server; the second paints with what the first taught."""
    readme = (REPOSITORY / "README.md").read_text("utf-8").partition("## From a script")[2].partition("\n## ")[0]
    readme = readme.replace("http://127.0.0.1:7860", server.url)
    script, client = (part.partition("```")[0] for part in readme.split("```python\n")[1:])
    script = script.replace('"mykoala"', '"scripted"')
    script = script.replace('"koala.png"', repr(str(tmp_path / "koala.png"))).replace(
        '"preset": "fast"', '"preset": "fast", "settings": {"steps": 6, "preview_every": 0}')
    assert len(run_script(script).splitlines()) == 6
    with Image.open(tmp_path / "koala.png") as picture:
        assert picture.size == (256, 256)
    before = len(told(server, "images")["images"])
    printed = run_script(client.replace("mykoala:0.8", "scripted:0.8"))
    assert all(f"'{key}': " in printed for key in ("state", "step", "loss", "trigger"))
    made = told(server, "images")["images"]
    assert len(made) == before + 1 and made[0]["made"]["request"]["prompt"] == "a koala"
    assert made[0]["made"]["adapters"][0][:2] == ["scripted", 0.8]
    (run,) = [r for r in told(server, "runs") if r["name"] == "mykoala"]
    if run["state"] in ("queued", "running"):  # what it would reach is not asked here
        urllib.request.urlopen(f"{server.url}/studio/runs/{run['id']}/stop", b"{}").close()


def kohya_file(path: Path) -> Path:
    """A LoRA for the starter as kohya's scripts write it."""
    layer = skeleton("starter").layers()[f"unet.{ATTENTION}"]
    out, inside = layer.weight.shape[:2]
    key = "lora_unet_" + ATTENTION.replace(".", "_")
    chance = torch.Generator().manual_seed(1)
    save_file({f"{key}.lora_down.weight": torch.randn(4, inside, generator=chance),
               f"{key}.lora_up.weight": 0.1 * torch.randn(out, 4, generator=chance), f"{key}.alpha": torch.tensor(4.0)},
              path, {"ss_network_module": "networks.lora", "ss_network_dim": "4", "ss_network_alpha": "4"})
    return path


def test_a_kohya_file_is_dropped_into_the_library_and_painted_with(server: Server, page: Page, tmp_path: Path) -> None:
    file = kohya_file(tmp_path / "oddstyle.safetensors")
    open_room(page, "library")
    page.evaluate(DROP, ["#library-room", file.name, base64.b64encode(file.read_bytes()).decode()])
    expect(page.locator("#cards [data-name=oddstyle]")).to_be_visible(timeout=LONG)
    open_room(page, "create")
    page.locator("#concept [data-name=oddstyle]").click(timeout=60_000)
    ask(page, "a photo of a bear", images=1, steps=2)
    page.locator("#paint").click()
    expect(page.locator("#output[data-state=done] #pictures[data-count='2']")).to_be_visible(timeout=LONG)
    made = told(server, "images")["images"][:2]
    used = sorted([name for name, *_ in picture["made"]["adapters"]] for picture in made)
    assert used == [[], ["oddstyle"]]  # with it, and without beside it
    with Image.open(server.home / "images" / made[0]["file"]) as one, Image.open(
            server.home / "images" / made[1]["file"]) as other:
        assert one.tobytes() != other.tobytes()


def test_painted_pictures_are_entries_of_the_one_queue(server: Server, page: Page) -> None:
    open_room(page, "create")
    for prompt in ("a long painting", "the next", "the last"):
        ask(page, prompt, images=4, steps=400)
        page.locator("#paint").click()
        expect(page.locator("#output .s-bar")).to_be_visible(timeout=60_000)
        page.wait_for_function("n => fetch('/studio/queue').then((a) => a.json()).then((q) => q.beside.length === n)",
                               arg={"a long painting": 1, "the next": 2, "the last": 3}[prompt], timeout=60_000)
    open_room(page, "train")
    entries = page.locator("#beside li")
    expect(entries).to_have_count(3, timeout=60_000)
    expect(entries.nth(0)).to_contain_text("a long painting")
    expect(entries.nth(0)).to_have_attribute("data-state", "running", timeout=LONG)
    page.get_by_label("First: the last").click()
    expect(entries.nth(1)).to_contain_text("the last", timeout=60_000)
    shot(page, "queue-pictures")
    for prompt in ("the next", "the last", "a long painting"):
        page.get_by_label(f"Cancel the pictures: {prompt}").click()
        expect(page.locator("#beside li", has_text=prompt)).to_have_count(0, timeout=LONG)
    expect(page.locator("#beside")).to_be_hidden()
    assert {p["state"] for p in told(server, "images/paintings")[-3:]} == {"cancelled"}


def paints_beside_a_training(server: Server, page: Page, run: str) -> None:
    """Nothing is greyed out: a picture is done while the training goes on."""
    open_room(page, "create")
    ask(page, "a photo of a cat", images=1, steps=2)
    before = told(server, f"runs/{run}")["step"]
    page.locator("#paint").click()
    expect(page.locator("#output[data-state=done] #pictures[data-count='1']")).to_be_visible(timeout=LONG)
    now = told(server, f"runs/{run}")
    assert now["state"] == "running" and now["step"] >= before
    open_room(page, "train")


def test_a_second_browser_follows_the_same_run_and_the_first_sees_what_it_does(server: Server, page: Page) -> None:
    """The run is long, and neither a preview nor a checkpoint is due before its end."""
    teach(page, "shared")
    for name, value in (("steps", 4000), ("preview_every", 4000), ("checkpoint_every", 4000)):
        page.locator(f"#field-{name} input").fill(str(value))
    page.locator("#start").click()
    expect(page.locator("#run-panel[data-state=running]")).to_be_visible(timeout=60_000)
    run = next(r["id"] for r in told(server, "runs") if r["name"] == "shared")
    browser = page.context.browser
    assert browser
    with browser.new_context() as elsewhere:  # another browser: nothing that this one has kept
        other = elsewhere.new_page()
        other.goto(f"{server.url}/?run={run}", wait_until="domcontentloaded")
        expect(other.locator("#concepts-room[data-ready]")).to_be_visible(timeout=60_000)
        open_room(other, "train")
        expect(other.locator("#run-panel[data-state=running]")).to_contain_text("shared", timeout=60_000)
        expect(other.locator("#run-panel .s-run-loss svg")).to_be_visible(timeout=LONG)
        raw, smooth = other.locator("#run-panel .s-run-loss polyline").all()
        assert raw.get_attribute("stroke-opacity") and float(smooth.get_attribute("stroke-width") or 0) > 1
        expect(other.locator("#run-panel .s-facts div", has_text="time left")).to_have_text(
            re.compile(r"time left(\d+ h )?(\d+ min )?\d+ (s|min)$"))
        step = "Number(document.querySelector('#run-panel').dataset.step) > {}"
        before = int(other.locator("#run-panel").get_attribute("data-step") or 0)
        other.wait_for_function(step.format(before), timeout=LONG)
        page.wait_for_function(step.format(before), timeout=LONG)

        folder, heads = server.home / "runs" / run, page.locator("#previews thead th")
        expect(heads).to_have_text(["no adapter"])
        other.locator("#save-now").click()
        expect(page.locator("#keep")).to_be_visible(timeout=LONG)  # there is a checkpoint to keep
        assert len(list((folder / "checkpoints").glob("*.safetensors"))) == 1
        expect(heads).to_have_count(1)  # and no preview with it
        other.locator("#sample-now").click()
        expect(heads).to_have_text(["no adapter", re.compile(r"step \d+")], timeout=LONG)
        assert heads.nth(0).get_attribute("class") == "base"
        expect(page.locator("#previews tbody tr").first.locator("td").nth(1).locator("img")).to_be_attached()
        assert len(list((folder / "checkpoints").glob("*.safetensors"))) == 1
        paints_beside_a_training(server, page, run)

        other.locator("button#stop").click()
        expect(page.locator("#run-panel[data-state=stopped]")).to_be_visible(timeout=LONG)
        expect(other.locator("#run-panel[data-state=stopped]")).to_be_visible(timeout=60_000)
        assert page.locator("#run-panel").get_attribute("data-step") == other.locator("#run-panel").get_attribute(
            "data-step")
