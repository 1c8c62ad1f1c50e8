"""Paintings over HTTP: sheets, progress, cancel, sources. What paints is a stand-in."""

from __future__ import annotations

import io
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

import app.http.image_routes
from adapters.record import AdapterRecord
from app.library.verifying import verify
from app.painting.grid import Asked, Axis, lay_out
from app.studio import Studio
from pipelines.starter.styles import STYLES
from tests.app.http.test_draft_routes import png
from tests.app.tools import FakePainter, begin, made, until


@pytest.fixture(autouse=True)
def phrases(monkeypatch: pytest.MonkeyPatch, record: AdapterRecord) -> None:
    """Every adapter's words are 'zok' and its own name."""
    monkeypatch.setattr(app.http.image_routes, "read_record",
                        lambda path: record.model_copy(update={"trigger": "zok", "class_noun": path.stem[2:]}))


def test_a_batch_is_one_column_of_seeds_each_a_file_of_its_own(client: TestClient, painter: FakePainter) -> None:
    told = made(client, seed=5, images=3, adapters=["mycat:0.8:bias=.5"], base="starter")
    assert (told["state"], told["rows"], told["columns"]) == ("done", ["seed 5", "seed 6", "seed 7"], [""])
    assert [a["request"]["seed"] for a in painter.asked] == [5, 6, 7]
    assert all(a["adapters"] == [("mycat", 0.8, {"bias": ".5"})] for a in painter.asked)
    assert told["done"] == told["total"] == 3 and told["sheet"] == ""
    for (file,) in told["images"]:
        assert client.get(f"/studio/images/{file}").headers["content-type"] == "image/png"


def test_side_by_side_each_adapter_is_alone_beside_none_at_the_same_seeds(client: TestClient,
                                                                         painter: FakePainter) -> None:
    told = made(client, "a photo of {} here", seed=2, images=2, adapters=["mycat:0.5", "mydog:1"],
                x={"field": "adapter", "values": ["", "mycat", "mydog:0.7"]}, sheet=True)
    assert told["columns"] == ["no adapter", "mycat", "mydog:0.7"] and told["rows"] == ["seed 2", "seed 3"]
    assert [(a["request"]["seed"], [u[:2] for u in a["adapters"]], a["request"]["prompt"]) for a in painter.asked] == [
        (seed, used, f"a photo of {words} here") for seed in (2, 3)
        for used, words in (([], "cat"), ([("mycat", 0.5)], "zok cat"), ([("mydog", 0.7)], "zok dog"))]
    with Image.open(io.BytesIO(client.get(f"/studio/images/{told['sheet']}").content)) as sheet:
        assert sheet.width > 3 * 64 and sheet.height > 2 * 64 and "parameters" in sheet.info
        for row in range(2):  # the pictures are in it, at their places
            colour = ((2 + row) * 40 % 256, 90, 120)
            assert sum(n for n, c in sheet.getcolors(1 << 20) or () if c == colour) == 3 * 64 * 64


def test_all_chosen_adapters_together_stand_beside_none_and_make_no_sheet_unasked(client: TestClient,
                                                                                  painter: FakePainter) -> None:
    told = made(client, adapters=["mycat:0.5", "mydog"], x={"field": "adapter", "values": ["*", ""]})
    assert told["columns"] == ["as chosen", "no adapter"] and told["sheet"] == ""
    assert [len(a["adapters"]) for a in painter.asked] == [2, 0]


def test_an_x_y_grid_goes_over_any_two_settings(client: TestClient, painter: FakePainter) -> None:
    told = made(client, adapters=["mycat"], x={"field": "steps", "values": ["5", "9"]},
                y={"field": "sampler", "values": ["Euler", ""]})
    assert (told["columns"], told["rows"]) == (["steps 5", "steps 9"], ["sampler Euler", "sampler "])
    assert [(a["request"]["steps"], a["request"]["sampler"]) for a in painter.asked] == [
        (5, "Euler"), (9, "Euler"), (5, None), (9, None)]


@pytest.mark.parametrize(("axis", "found"), [
    ({"field": "prompt", "values": ["cat", "dog"]}, lambda a: a["request"]["prompt"] == "a dog"),
    ({"field": "weight", "values": ["1", "0.25"]}, lambda a: a["adapters"] == [("mycat", 0.25, {"bias": "1"})]),
    ({"field": "bias", "values": ["0", "0.6"]}, lambda a: a["adapters"] == [("mycat", 1.0, {"bias": "0.6"})]),
    ({"field": "guidance", "values": ["2", "3.5"]}, lambda a: a["request"]["guidance"] == 3.5),
    ({"field": "base", "values": ["starter", "starter"]}, lambda a: a["base"] == "starter"),
])
def test_an_axis_sets_what_it_says(client: TestClient, painter: FakePainter, axis: dict[str, Any], found: Any) -> None:
    assert made(client, adapters=["mycat:1:bias=1"], x=axis)["state"] == "done"
    assert found(painter.asked[1])


@pytest.mark.parametrize(("body", "said"), [
    ({"x": {"field": "magic", "values": ["1"]}}, "is no axis"), ({"x": {"field": "steps", "values": []}}, "is no axis"),
    ({"x": {"field": "steps", "values": ["0"]}}, "'steps' cannot be 0"),
    ({"x": {"field": "seed", "values": ["1"]}}, "Both axes"),
    ({"x": {"field": "steps", "values": [str(n) for n in range(1, 30)]}, "images": 8}, "at most 100"),
    ({"x": {"field": "weight", "values": ["1"]}}, "choose one"),
    ({"x": {"field": "prompt", "values": ["dog", "cat"]}}, "not in the prompt"),
    ({"prompt": "a {}"}, "choose a concept"), ({"source": "nothere"}, "drop it again"), ({"steps": -1}, "'steps'"),
    ({"sampler": "Magic"}, "choose one of Euler"), ({"file": 1}, "no 'file'"),
])
def test_what_makes_no_sense_is_a_sentence_and_paints_nothing(client: TestClient, painter: FakePainter,
                                                              body: dict[str, Any], said: str) -> None:
    outer = {k: body.pop(k) for k in ("x", "source") if k in body}
    answer = client.post("/studio/images/paintings", json={"request": {"prompt": "a cat", **body}, **outer})
    assert answer.status_code == 400 and said in answer.json()["error"] and not painter.asked


def test_cancel_ends_the_running_one_and_the_next_is_painted(client: TestClient, painter: FakePainter,
                                                             studio: Studio) -> None:
    painter.hold = True
    first, second, third = begin(client, images=2), begin(client, "never"), begin(client, "a dog")
    until(client, first, "painting")
    assert client.get(f"/studio/images/paintings/{second}").json()["state"] == "waiting"
    client.delete(f"/studio/images/paintings/{second}")
    client.delete(f"/studio/images/paintings/{first}")
    told = until(client, first, "cancelled")
    painter.hold = False
    assert told["images"] == [[""], [""]]
    assert until(client, second, "cancelled", "done")["state"] == "cancelled"
    assert until(client, third, "done")["done"] == 1
    assert [a["request"]["prompt"] for a in painter.asked] == ["a cat", "a dog"]
    assert not list((studio.home.temporary / "paintings").iterdir())


def test_what_goes_wrong_is_told_and_what_was_done_stays(client: TestClient, painter: FakePainter,
                                                         monkeypatch: pytest.MonkeyPatch, studio: Studio) -> None:
    from adapters.errors import StudioError

    def failing(*given: Any, **options: Any) -> None:
        if painter.asked:
            raise StudioError("The memory was not enough.")
        painter.paint(*given, **options)

    monkeypatch.setattr(studio.painter, "paint", failing)
    told = made(client, images=2)
    assert (told["state"], told["message"], told["done"]) == ("failed", "The memory was not enough.", 1)


def test_a_preview_is_shown_while_it_is_there(client: TestClient, painter: FakePainter, studio: Studio) -> None:
    painter.hold = True
    id = begin(client)
    until(client, id, "painting")
    assert client.get(f"/studio/images/paintings/{id}/preview").status_code == 404
    (studio.home.temporary / "paintings" / f"{id}.png").write_bytes(png())
    assert client.get(f"/studio/images/paintings/{id}").json()["preview"]
    assert client.get(f"/studio/images/paintings/{id}/preview").content == png()
    client.delete(f"/studio/images/paintings/{id}")
    assert until(client, id, "cancelled")["preview"] == ""


def test_the_page_is_told_where_a_checker_sees_each_picture_first(client: TestClient, painter: FakePainter) -> None:
    assert made(client)["unseen"] is False
    painter.checked = True
    assert made(client)["unseen"] is True


def test_a_labelled_sheet_is_signed_as_its_pictures_are(client: TestClient, painter: FakePainter,
                                                        studio: Studio) -> None:
    pytest.importorskip("c2pa")
    told = made(client, seed=2, images=2, adapters=["mycat"], x={"field": "adapter", "values": ["", "mycat"]},
                sheet=True)
    for name in (told["images"][0][0], told["sheet"]):
        found = verify(studio.home.images / name)
        assert found["intact"] is True and found["credentials"]["valid"]
    assert [a["name"] for a in found["credentials"]["made"]["adapters"]] == ["mycat"]


def test_a_picture_to_paint_on_is_checked_and_kept_with_its_mask(client: TestClient, painter: FakePainter) -> None:
    at = "/studio/images/sources"
    assert "is not a PNG" in client.post(at, files={"picture": ("a.png", b"no")}).json()["error"]
    wrong = {"picture": ("a.png", png()), "mask": ("m.png", png("white", (9, 99), "L"))}
    assert client.post(at, files=wrong).status_code == 400
    plain = client.post(at, files={"picture": ("a.png", png())}).json()["source"]
    masked = client.post(at, files={"picture": ("a.png", png()), "mask": ("m.png", png("white", mode="L"))}).json()
    for id, has_mask in ((plain, False), (masked["source"], True)):
        assert made(client, strength=0.5, source=id)["state"] == "done"
        picture, mask = painter.asked[-1]["edit"]
        assert Image.open(picture).size == (64, 48) and (mask is not None) == has_mask
        if mask:
            assert Image.open(mask).mode == "L"
        assert client.get(f"{at}/{id}").content == picture.read_bytes()
        assert client.get(f"{at}/{id}?mask=true").status_code == (200 if has_mask else 404)
        picture.unlink()
        assert client.get(f"{at}/{id}").status_code == 400


def test_styles_are_kept_by_name_and_forgotten(client: TestClient) -> None:
    at = "/studio/images/styles"
    for shipped in client.get("/studio/images/choices").json()["styles"]:
        client.delete(f"{at}/{shipped['name']}")
    assert client.get("/studio/images/choices").json()["styles"] == []
    client.put(at, json={"name": "night", "prompt": "{prompt}, at night"})
    client.put(at, json={"name": "Day", "negative_prompt": "dark"})
    found = client.put(at, json={"name": "night", "prompt": "stars"}).json()
    assert [(s["name"], s["prompt"]) for s in found] == [("Day", ""), ("night", "stars")]
    assert client.get("/studio/images/choices").json()["styles"] == found
    assert [s["name"] for s in client.delete(f"{at}/Day").json()] == ["night"]
    for wrong in ({"name": " "}, {"name": "x", "prompt": "y" * 2001}, {"name": "x", "evil": "1"}):
        assert client.put(at, json=wrong).status_code == 400


def test_shipped_styles_say_what_the_starter_was_taught(client: TestClient) -> None:
    found = client.get("/studio/images/choices").json()["styles"]
    taught = {f"{{prompt}} {words}" for style in STYLES.values() for words in style.endings}
    assert len(found) == 5 and {s["prompt"] for s in found} <= taught
    kept = client.put("/studio/images/styles", json={"name": "Mine", "prompt": "{prompt} in fog"}).json()
    assert [s["name"] for s in kept] == sorted(["Mine", *(s["name"] for s in found)])


def test_a_sheet_of_private_prompts_does_not_show_them_as_labels() -> None:
    x = Axis(field="prompt", values=("cat", "dog"))
    asked = Asked({"prompt": "a cat", "private": True})
    assert lay_out(asked, x, None, lambda _: ("", "")).columns == ("prompt 1", "prompt 2")
    assert lay_out(Asked({"prompt": "a cat"}), x, None, lambda _: ("", "")).columns == ("cat", "dog")


def test_an_adapter_is_bound_to_its_region_in_the_columns_that_have_it(client: TestClient,
                                                                       painter: FakePainter) -> None:
    mask = client.post("/studio/images/sources", files={"picture": ("m.png", png("white", mode="L"))}).json()["source"]
    told = made(client, adapters=["mycat", "hat"], x={"field": "adapter", "values": ["*", "hat", ""]},
                regions={"mycat": mask})
    assert told["state"] == "done"
    found = [{a.stem: m.stem for a, m in asked["regions"].items()} for asked in painter.asked]
    assert found == [{"mycat": mask}, {}, {}]
    answer = client.post("/studio/images/paintings", json={"request": {"prompt": "a"}, "regions": {"mycat": "gone"}})
    assert answer.status_code == 400 and "drop it again" in answer.json()["error"]
