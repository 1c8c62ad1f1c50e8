"""The whole path in a real browser, on real training. Screenshots stay in `test-artifacts/`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Page, expect

from pipelines.shipped import REPOSITORY, SAMPLES
from tests.app.browser import MARKS, Server, open_room, open_studio, shot
from tests.app.hands import finger, on_to_train, put_together, stroke, tap, tap_for_files
from tests.app.test_access import faults_of

pytestmark = MARKS


NOTHING_YET = {"train": "No pictures yet. Put some together under Concepts.", "create": "Your pictures appear here.",
               "library": "Nothing here yet. Teach a concept under Concepts", "system": "the starter"}


def test_an_empty_studio_says_in_each_room_what_comes_first(page: Page) -> None:
    """It stands first in this file, while the data folder is empty."""
    faults = []
    expect(page.locator("#concepts-room")).to_contain_text("No pictures yet. Four to six of one thing")
    for room, says in NOTHING_YET.items():
        open_room(page, room)
        expect(page.locator(f"#{room}-room")).to_contain_text(says, timeout=20_000)
        faults += faults_of(page, f"{room}, empty")
    open_room(page, "train")
    expect(page.locator("#run-panel")).to_contain_text("No training yet")
    expect(page.locator("#queue")).to_contain_text("Nothing runs and nothing waits")
    expect(page.locator("#start")).to_be_disabled()
    page.locator("#to-concepts").click()
    expect(page.locator("#drop")).to_be_visible()
    expect(page.locator("#train-room")).to_be_hidden()
    assert not faults, "\n".join(faults)


def _state(page: Page, state: str, seconds: int) -> None:
    expect(page.locator(f"#run-panel[data-state={state}]")).to_be_visible(timeout=1000 * seconds)


def test_pictures_become_a_concept_that_paints_and_leaves(server: Server, page: Page) -> None:
    pictures = sorted((SAMPLES / "koala").glob("*.png"))
    put_together(page, pictures, "mykoala", "bear")
    on_to_train(page, "mykoala")
    page.get_by_label("Fast preview").check()
    page.locator("#start").click()
    _state(page, "running", 60)
    expect(page.locator("#previews img").nth(3)).to_be_attached(timeout=180_000)  # base, first preview
    expect(page.locator("#run-panel svg")).to_be_visible()
    shot(page, "training")

    page.locator("button#stop").click()
    _state(page, "stopped", 60)
    step = int(page.locator("#run-panel").get_attribute("data-step") or 0)
    assert 40 <= step < 120
    open_studio(page, server)  # a reload finds the run again
    page.get_by_role("tab", name="Train").click()
    _state(page, "stopped", 20)
    page.locator("button#resume").click()
    _state(page, "finished", 240)
    assert int(page.locator("#run-panel").get_attribute("data-step") or 0) == 120
    expect(page.locator("#estimate")).not_to_contain_text("rough guess", timeout=20_000)  # it has just been measured
    shot(page, "trained")
    kept = _recommended(page)

    page.get_by_role("tab", name="Create").click()
    page.wait_for_timeout(800)
    page.locator("#concept [data-name=mykoala]").click()
    expect(page.locator("#prompt textarea")).to_have_value("a photo of a zok bear", timeout=10_000)
    page.locator("#prompt textarea").fill("a photo of a zok bear on the beach")
    page.locator("#paint").click()
    expect(page.locator("#pictures[data-count='4']")).to_be_visible(timeout=180_000)
    images = page.locator("#pictures img")
    expect(images).to_have_count(4)
    page.wait_for_function("[...document.querySelectorAll('#pictures img')].every("
                           "i => i.complete && i.naturalWidth === 256)")
    shot(page, "create")

    page.get_by_role("tab", name="Library").click()
    page.wait_for_timeout(800)
    expect(page.locator("#cards .s-card")).to_have_count(2)  # and the checkpoint that was kept
    files = []
    page.locator("[data-name=mykoala] [data-act=export]").click()
    for kind in ("diffusers", "kohya"):
        page.locator(f"[data-name=mykoala] [data-format={kind}]").click()
        expect(page.locator("#check.good")).to_contain_text("keys read back", timeout=120_000)
        with page.expect_download(timeout=120_000) as download:
            page.locator(".s-download").click()
        files.append(server.home / f"{kind}.safetensors")
        download.value.save_as(files[-1])
        page.locator("#export").get_by_role("button", name="Close").click()
    page.locator("#import input[type=file]").set_input_files(files[1])
    expect(page.locator("#cards .s-card")).to_have_count(3, timeout=20_000)
    shot(page, "library")
    names = {e["name"] for e in _list(server)}
    assert names == {"mykoala", "kohya", kept}


def _recommended(page: Page) -> str:
    """Of the run that is shown, the checkpoint to use is chosen, with a reason and a curve, and another one is kept;
    the name it has then. Two pictures of each checkpoint are judged here, not sixteen."""
    few = json.dumps({"options": {"seeds": 1, "prompts": ["a photo of {}", "{} on the beach"]}})
    page.route("**/recommend", lambda route: route.continue_(post_data=few))
    run = page.locator("#run").input_value()
    page.locator("#recommend").click()
    expect(page.locator("#run-panel h3")).to_contain_text("choice of a checkpoint", timeout=60_000)
    _state(page, "finished", 240)
    page.unroute("**/recommend")
    reason = page.locator("#run-panel .s-note.good").inner_text()
    page.locator("#run").select_option(run)
    found = page.locator("#recommended")
    expect(found.locator(".s-note.good")).to_have_text(reason, timeout=20_000)
    rows = found.locator("tbody tr")
    steps = [int(re.findall(r"step (\d+)", title)[0]) for title in rows.locator("th").all_inner_texts()]
    assert len(steps) >= 3 and steps == sorted(steps) and steps[-1] == 120
    chosen = found.locator("tbody tr", has_text="(recommended)")
    step = re.findall(r"step (\d+)", chosen.inner_text())[0]
    assert re.match(rf"Step {step} (has|is ahead in) .*likeness.*\d\.\d{{3}}.*\.$", reason)
    expect(found.locator("svg circle")).to_have_count(len(steps))
    expect(found.locator("svg circle[r='8'] + text")).to_have_text(step)
    with page.expect_response(lambda r: r.url.endswith("/keep")) as answer:
        page.get_by_label(f"Keep the checkpoint of step {steps[0]}").click()
    name: str = answer.value.json()["adapter"]
    expect(page.locator(".s-toast").last).to_contain_text(f"'{name}' is in the library.")
    return name


def _list(server: Server) -> list[dict[str, str]]:
    done = subprocess.run([sys.executable, "-m", "app", "list", "--json", "--home", str(server.home)],
                          cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])["adapters"]
    return found


@pytest.mark.parametrize(("content", "says"), [
    (b"\x00\x00\x00\x18ftypmp42" + bytes(3000), "is not a PNG"), ("half", "damaged or cut off")])
def test_a_picture_that_is_none_is_one_sentence(page: Page, tmp_path: Path, content: object, says: str) -> None:
    whole = (SAMPLES / "koala" / "0.png").read_bytes()
    (tmp_path / "picture.png").write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    page.locator("#new-draft").click()
    expect(page.locator("#shots[data-count='0']")).to_be_visible(timeout=20_000)
    page.locator("#pictures").set_input_files(tmp_path / "picture.png")
    expect(page.locator(".s-toast")).to_contain_text(says, timeout=15_000)
    expect(page.locator(".s-toast")).to_contain_text("'picture.png'")
    expect(page.locator("#shots[data-count='0']")).to_be_visible()


@pytest.mark.parametrize(("name", "noun", "says"), [("../x", "bear", "cannot be a name"), ("", "bear", "has no name"),
                                                    ("other", "  ", "class noun is empty")])
def test_a_name_that_is_none_is_one_sentence(page: Page, name: str, noun: str, says: str) -> None:
    put_together(page, [SAMPLES / "koala" / "0.png"], name, noun)
    on_to_train(page, f"{name or 'no name yet'}, a {noun.strip()}")
    page.locator("#start").click()
    expect(page.locator(".s-toast")).to_contain_text(says, timeout=15_000)
    assert "Traceback" not in page.locator(".s-toast").inner_text()


def test_what_is_put_together_survives_a_reload(server: Server, page: Page) -> None:
    """Captions, crop, flip and a removed picture, each kept at its change."""
    put_together(page, sorted((SAMPLES / "unicorn").glob("*.png"))[:3], "myhorse", "horse")
    captions = page.locator(".s-shot textarea")
    for n in range(3):
        captions.nth(n).fill(f"[trigger] number {n}")
    page.locator("[data-act=flip]").nth(0).click()
    page.locator("[data-act=remove]").nth(1).click()
    expect(page.locator("#shots[data-count='2']")).to_be_visible()
    page.locator("[data-act=crop]").nth(1).click()
    expect(page.locator(".s-canvas[data-ready]")).to_be_visible(timeout=20_000)
    box = page.locator(".s-canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + box["height"] - 1, steps=4)
    page.mouse.up()
    page.locator("#editor-done").click()
    shot(page, "concepts")
    open_studio(page, server)
    expect(page.locator("#name-0")).to_have_value("myhorse")
    assert [captions.nth(n).input_value() for n in range(2)] == ["[trigger] number 0", "[trigger] number 2"]
    draft = _draft(server)
    assert [s["flipped"] for s in draft["shots"]] == [True, False]
    left, top, right, bottom = draft["shots"][1]["crop"]
    assert (abs(left - 0.25) < 0.02 and abs(top - 0.25) < 0.02 and abs(right - 0.75) < 0.02 and bottom > 0.97)


def _draft(server: Server) -> dict[str, Any]:
    """The draft that was changed last."""
    with urllib.request.urlopen(f"{server.url}/studio/drafts") as answer:
        newest = json.load(answer)[0]["id"]
    with urllib.request.urlopen(f"{server.url}/studio/drafts/{newest}") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _share(server: Server) -> float:
    """How much of the picture the second thing's mask on the server has; 0 before there is one."""
    draft = _draft(server)
    mask = server.home / "drafts" / draft["id"] / "masks" / f"{draft['shots'][0]['id']}-{draft['things'][1]['id']}.png"
    if not mask.exists():
        return 0
    with Image.open(mask) as painted:
        return float(ImageStat.Stat(painted.convert("L")).mean[0] / 255)


def _until(page: Page, true: Callable[[], bool]) -> None:
    for _ in range(200):
        if true():
            return
        page.wait_for_timeout(100)  # the page goes on meanwhile
    raise AssertionError("it did not become true within 20 seconds")


def _tools(server: Server, page: Page) -> None:
    """Opacity is of what is seen alone; erase and fill change the mask that is saved, and undo brings it back."""
    def shown() -> list[int]:
        found: list[int] = page.evaluate("""() => { const c = document.querySelector(".s-canvas");
          return [...c.getContext("2d").getImageData(0.75 * c.width, 0.6 * c.height, 1, 1).data]; }""")
        return found

    _until(page, lambda: _share(server) > 0)
    painted, tinted = _share(server), shown()
    page.locator("#mask-opacity").fill("0")
    bare = shown()
    assert bare != tinted
    page.locator("#mask-opacity").fill("1")
    assert bare != shown() != tinted
    assert _share(server) == painted
    page.locator("[data-tool=erase]").click()
    stroke(page, (0.65, 0.5), (0.75, 0.6))
    _until(page, lambda: _share(server) < 0.8 * painted)
    page.locator("#undo").click()
    _until(page, lambda: _share(server) == painted)
    page.locator("[data-tool=fill]").click()
    stroke(page, (0.95, 0.05))  # of the sky, which is one colour
    _until(page, lambda: _share(server) > 1.2 * painted)
    page.locator("#undo").click()
    _until(page, lambda: _share(server) == painted)
    page.locator("#mask-opacity").fill("0.55")


def test_two_painted_masks_become_two_concepts(server: Server, page: Page) -> None:
    """Two things in one picture, each painted, and a setting of the method's own form."""
    put_together(page, [SAMPLES / "scenes" / "koala-firetruck" / "img.png"], "koala", "bear")
    page.locator("#add-thing").click()
    page.locator("#name-1").fill("engine")
    page.locator("#noun-1").fill("truck")
    page.wait_for_timeout(800)
    expect(page.locator("#findings")).to_contain_text("is few")
    page.locator("[data-act=mask]").click()
    expect(page.locator(".s-canvas[data-ready]")).to_be_visible(timeout=20_000)
    stroke(page, (0.15, 0.5), (0.35, 0.7))
    page.locator("[data-thing='1']").click()
    stroke(page, (0.65, 0.5), (0.85, 0.7))
    shot(page, "masks")
    _tools(server, page)
    page.locator("#editor-done").click()
    expect(page.locator(".s-shot[data-masks='2']")).to_be_visible(timeout=20_000)
    expect(page.locator("#findings")).not_to_contain_text("is few", timeout=20_000)
    on_to_train(page, "masks in 1 of 1 pictures")
    expect(page.get_by_label("Several things from one masked picture")).to_be_checked(timeout=15_000)
    page.locator("#advanced summary").click()
    page.locator("#field-steps input").fill("4")
    page.get_by_label("Prior weight").fill("0")
    page.get_by_label("Preview every").fill("0")
    page.get_by_label("Preview every").blur()
    page.wait_for_timeout(1500)
    shot(page, "methods")
    page.locator("#start").click()
    expect(page.locator("#run-panel")).to_contain_text("koala-engine", timeout=60_000)
    _state(page, "finished", 120)
    made = next(e for e in _list(server) if e["name"] == "koala-engine")
    assert made["method"] == "break-a-scene" and made["triggers"] == {"koala": "<koala>", "engine": "<engine>"}


def test_start_right_after_teach_this_starts_the_draft_of_teach_this(server: Server, page: Page) -> None:
    """However slow the studio is to open the draft."""
    put_together(page, [SAMPLES / "koala" / "0.png"], "slowbear", "bear")
    page.wait_for_timeout(800)
    page.locator("#teach-this").click()
    expect(page.locator("#about-draft")).to_contain_text("slowbear", timeout=20_000)
    put_together(page, [SAMPLES / "unicorn" / "0.png"], "quickhorse", "horse")
    page.wait_for_timeout(800)
    draft = _draft(server)["id"]

    def slowly(route: Any) -> None:
        time.sleep(1.5)
        route.continue_()

    page.request.post(f"{server.url}/studio/queue/pause")
    page.route(f"**/studio/drafts/{draft}", slowly)
    page.locator("#teach-this").click()
    expect(page.locator("#about-draft")).not_to_contain_text("slowbear", timeout=1000)
    page.locator("#start").click()
    expect(page.locator("#run-panel")).to_contain_text("quickhorse", timeout=20_000)
    names = [r["name"] for r in page.request.get(f"{server.url}/studio/runs").json()]
    assert "quickhorse" in names and "slowbear" not in names
    with page.expect_response(lambda r: r.request.method == "DELETE"):
        page.locator("#delete-run").click()
    page.request.post(f"{server.url}/studio/queue/go-on")


def test_a_name_a_noun_and_pictures_are_all_that_a_training_asks_for(page: Page) -> None:
    """Teach and Start, nothing chosen between; it is ended once it has made a step."""
    put_together(page, sorted((SAMPLES / "koala").glob("*.png"))[:2], "threethings", "bear")
    on_to_train(page, "threethings")
    page.locator("#start").click()
    expect(page.locator("#run-panel h3")).to_contain_text("threethings", timeout=30_000)
    page.wait_for_function("Number(document.querySelector('#run-panel').dataset.step) > 0", timeout=240_000)
    expect(page.locator("#run-panel .s-facts")).to_contain_text("of 300")  # the balanced preset's
    expect(page.locator("#previews img").first).to_be_attached()
    page.locator("button#stop").click()
    _state(page, "stopped", 60)


def _queue(page: Page, name: str) -> None:
    """Queue a short training of the starter, without previews."""
    put_together(page, [SAMPLES / "koala" / "0.png"], name, "bear")
    on_to_train(page, name)
    if page.locator("#advanced").get_attribute("open") is None:
        page.locator("#advanced summary").click()
    page.locator("#field-steps input").fill("3")
    page.get_by_label("Preview every").fill("0")
    page.locator("#start").click()
    expect(page.locator("#run-panel h3")).to_contain_text(name, timeout=30_000)


def test_of_three_queued_trainings_the_middle_one_is_cancelled_and_the_others_end(server: Server, page: Page) -> None:
    """Real ones, in the order that was chosen in the page; a second browser sees it, and cancels."""
    _queue(page, "walnut")
    expect(page.locator("#run-panel:is([data-state=running], [data-state=finished])")).to_be_visible(timeout=60_000)
    page.locator("#queue-pause").click()  # what runs goes on; what comes now waits until all of it stands in its order
    expect(page.locator("#queue-go-on")).to_be_visible(timeout=15_000)
    for name in ("almond", "hazel"):
        _queue(page, name)
        expect(page.locator("#waiting li", has_text=name)).to_contain_text("paused", timeout=15_000)
        expect(page.locator("#run-panel")).to_contain_text("Estimated: about", timeout=15_000)
    page.get_by_label("First: hazel").click()
    expect(page.locator("#waiting li[data-state=queued]").first).to_contain_text("hazel")

    other = page.context.browser.new_page()  # type: ignore[union-attr]
    other.goto(server.url, wait_until="domcontentloaded")
    other.get_by_role("tab", name="Train").click()
    expect(other.locator("#waiting li[data-state=queued]").first).to_contain_text("hazel", timeout=30_000)
    other.get_by_label("Take out of the queue: hazel").click()
    expect(page.locator("#waiting li", has_text="hazel")).to_have_count(0, timeout=15_000)
    other.close()

    page.locator("#queue-go-on").click()
    expect(page.locator("#queue")).to_contain_text("Nothing runs and nothing waits", timeout=240_000)
    jobs = {r["name"]: r for r in page.request.get(f"{server.url}/studio/runs").json()}
    assert [jobs[n]["state"] for n in ("walnut", "hazel", "almond")] == ["finished", "stopped", "finished"]
    assert jobs["hazel"]["started"] is None  # it never had the device
    assert {"walnut", "almond"} <= {e["name"] for e in _list(server)}

    page.locator("#run").select_option(jobs["hazel"]["id"])  # nothing of it is lost: it can be gone on with
    _state(page, "stopped", 20)
    expect(page.locator("button#resume")).to_be_visible()
    folder = server.home / "runs" / jobs["hazel"]["id"]
    assert len(list((folder / "references").glob("*.png"))) == 1
    labels = [d["label"] for d in page.request.get(f"{server.url}/studio/drafts").json()]
    assert {"walnut", "hazel", "almond"} <= set(labels)


def test_a_preflight_says_minutes_memory_and_file_before_anything_starts(server: Server, page: Page) -> None:
    put_together(page, [SAMPLES / "koala" / "0.png"], "measured", "beagle")
    on_to_train(page, "measured")
    expect(page.locator("#estimate")).to_contain_text("Estimated: about", timeout=20_000)  # without trying anything
    expect(page.locator("#estimate")).to_contain_text("a file of")
    page.locator("#preflight").click()
    expect(page.locator("#preflight-says")).to_contain_text("a step, measured on", timeout=120_000)
    expect(page.locator("#preflight-says")).to_contain_text("a file of")
    expect(page.locator("#preflight-says .bad")).to_contain_text("never saw the word 'beagle'")
    assert not [e for e in _list(server) if e["name"] == "measured"]


def test_a_phone_is_enough_and_everything_fits_it(page: Page, server: Server) -> None:
    """By touch alone: pictures from the phone's picker, a mask painted by a finger, and every room."""
    assert page.context.browser
    with page.context.browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True,
                                          is_mobile=True) as phone:
        page = phone.new_page()
        open_studio(page, server)
        tap(page.locator("#new-draft"), shows=page.locator("#shots[data-count='0']"))
        tap_for_files(page, page.locator("#drop"), sorted((SAMPLES / "koala").glob("*.png"))[:2])
        expect(page.locator("#shots[data-count='2']")).to_be_visible(timeout=20_000)
        tap(page.locator("[data-act=mask]").first, shows=page.locator(".s-canvas[data-ready]"))
        finger(page, (0.3, 0.4), (0.5, 0.5), (0.7, 0.6))
        expect(page.locator(".s-canvas[data-saved=true]")).to_be_visible(timeout=20_000)
        shot(page, "phone-mask")
        tap(page.locator("#editor-done"), leaves=page.locator("#editor"))
        expect(page.locator(".s-shot[data-masks='1']")).to_have_count(1, timeout=20_000)
        (masked,) = [s for s in _draft(server)["shots"] if s["masks"]]
        mask = server.home / "drafts" / _draft(server)["id"] / "masks" / f"{masked['id']}-{masked['masks'][0]}.png"
        with Image.open(mask) as painted:
            grey = painted.convert("L")
            assert grey.getpixel((grey.width // 2, grey.height // 2)) == 255  # where the finger went
            assert grey.getpixel((2, 2)) == 0
        for tab in ("Create", "Library", "Train", "Concepts"):
            shown = page.get_by_role("tab", name=tab)
            if not shown.is_visible():  # in the menu of those that have no room
                shown = page.locator(".overflow-dropdown button", has_text=tab)
                tap(page.locator(".overflow-menu > button"), shows=shown)
            tap(shown, shows=page.locator(f"#{tab.lower()}-room[data-ready]"))
            page.wait_for_timeout(300)  # the bar decides after a while what has room in it
            overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert overflow <= 1, f"{tab} is {overflow} px too wide"
        shot(page, "phone")
