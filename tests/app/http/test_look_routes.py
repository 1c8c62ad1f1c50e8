"""Masks, captions and what a loss sees, asked for over HTTP; the looking process is mostly a fake one."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from adapters.errors import StudioError
from app.concepts.looker import LookerProcess
from app.studio import Studio
from pipelines import captioners
from pipelines.helpers import BLIP
from pipelines.shipped import SAMPLES
from tests.app.http.test_draft_routes import png, send


class Fake:
    """Answers at once and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.meanwhile: Callable[[], object] = lambda: None
        """What a person does while it looks."""

    def ask(self, verb: str, **told: Any) -> dict[str, Any]:
        self.asked.append((verb, told))
        for key in ("picture", "masks", "pictures"):
            for path in ([told[key]] if isinstance(told.get(key), str) else told.get(key, [])):
                told.setdefault("sizes", []).append(Image.open(path).size)
        if "out" in told:
            Image.new("L", (64, 48), 255).save(told["out"])
        self.meanwhile()
        return {"found_by": "GrabCut", "captions": [f"caption {len(self.asked) - 1}"] * len(told.get("pictures", [])),
                "written_by": "BLIP", "width": 64, "height": 48, "grid": [8, 6], "share": 0.5, "soft": True,
                "masked": bool(told.get("masks"))}

    def close(self) -> None:
        pass


@pytest.fixture
def fake(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Fake:
    found = Fake()
    monkeypatch.setattr(studio, "looker", found)
    return found


def draft(client: TestClient, *names: str) -> tuple[str, list[str]]:
    id = client.post("/studio/drafts").json()["id"]
    told = send(client, id, **{n: png(n) for n in names})
    return f"/studio/drafts/{id}", [s["id"] for s in told["draft"]["shots"]]


def test_what_is_pointed_at_comes_back_as_a_mask_and_is_kept_nowhere(client: TestClient, fake: Fake) -> None:
    at, (shot,) = draft(client, "red")
    answer = client.post(f"{at}/pictures/{shot}/find", json={"pointed": {"box": [0, 0, 1, 1]}})
    assert Image.open(io.BytesIO(answer.content)).size == (64, 48) and answer.headers["x-found-by"] == "GrabCut"
    assert fake.asked[0][1]["pointed"] == {"box": [0, 0, 1, 1]}
    assert client.get(at).json()["shots"][0]["masks"] == []
    assert client.post(f"{at}/pictures/{'0' * 12}/find", json={"pointed": {"word": "cat"}}).status_code == 400


def test_only_pictures_without_a_caption_get_one(client: TestClient, fake: Fake) -> None:
    at, shots = draft(client, "red", "green", "blue")
    client.patch(f"{at}/pictures/{shots[1]}", json={"caption": "mine"})
    client.patch(f"{at}/pictures/{shots[2]}", json={"crop": [0, 0, 0.5, 1]})
    told = client.post(f"{at}/captions/write", json={"model": ""}).json()
    assert [s["caption"] for s in told["draft"]["shots"]] == ["caption 0", "mine", "caption 1"]
    assert (told["written"], told["written_by"]) == (2, "BLIP")
    assert [told["sizes"] for _, told in fake.asked] == [[(64, 48)], [(32, 48)]]  # as cropped
    again = client.post(f"{at}/captions/write", json={"model": ""})
    assert again.status_code == 400 and "has a caption already" in again.json()["error"]


def test_what_a_person_types_or_takes_out_meanwhile_stays_and_the_others_get_theirs(client: TestClient,
                                                                                   fake: Fake) -> None:
    at, shots = draft(client, "red", "green", "blue", "white")

    def meanwhile() -> None:
        if len(fake.asked) == 1:
            client.patch(f"{at}/pictures/{shots[0]}", json={"caption": "typed"})
            client.patch(f"{at}/pictures/{shots[2]}", json={"caption": "typed before its turn"})
        else:
            client.delete(f"{at}/pictures/{shots[1]}")

    fake.meanwhile = meanwhile
    told = client.post(f"{at}/captions/write", json={"model": ""}).json()
    assert [s["caption"] for s in told["draft"]["shots"]] == ["typed", "typed before its turn", "caption 2"]
    assert told["written"] == 1 and len(fake.asked) == 3


def test_one_picture_is_captioned_and_a_captioned_or_missing_one_left(client: TestClient, fake: Fake) -> None:
    at, (red, green) = draft(client, "red", "green")
    told = client.post(f"{at}/pictures/{green}/caption", json={"model": "BLIP"}).json()
    assert told["written_by"] == "BLIP" and fake.asked[0][1]["model"] == "BLIP"
    assert [s["caption"] for s in told["draft"]["shots"]] == ["", "caption 0"]
    client.delete(f"{at}/pictures/{red}")
    for shot in (red, green):
        again = client.post(f"{at}/pictures/{shot}/caption", json={"model": ""})
        assert again.status_code == 200 and again.json()["written_by"] == ""
    assert len(fake.asked) == 1


def test_the_loss_sees_a_picture_as_cropped_with_its_masks_when_all_things_have_one(client: TestClient,
                                                                                    fake: Fake) -> None:
    at, (shot,) = draft(client, "red")
    client.patch(at, json={"things": [{"name": "a", "noun": "cat"}, {"name": "b", "noun": "dog"}]})
    client.patch(f"{at}/pictures/{shot}", json={"crop": [0, 0, 0.5, 1]})
    seen = f"{at}/pictures/{shot}/seen"
    things = [t["id"] for t in client.get(at).json()["things"]]
    for n, thing in enumerate(things):
        answer = client.post(seen, json={"method": "break-a-scene"})
        assert not fake.asked[-1][1]["masks"] and answer.headers["x-seen"] == "64 x 48 pixels, all of it"
        client.put(f"{at}/pictures/{shot}/masks/{thing}", files={"file": (f"{n}.png", png("white", mode="L"))})
    answer = client.post(seen, json={"method": "break-a-scene"})
    assert answer.headers["x-seen"].endswith("masks on a grid of 8 x 6, soft edges kept, 50% has weight")
    assert fake.asked[-1][1]["sizes"] == [(32, 48)] * 3
    assert client.post(seen, json={"method": "none"}).status_code == 400


def test_the_loss_is_asked_with_all_that_was_chosen(client: TestClient, fake: Fake) -> None:
    at, (shot,) = draft(client, "red")
    client.patch(at, json={"things": [{"name": "a", "noun": "cat"}, {"name": "b", "noun": "dog"}]})
    chosen = {"method": "lora", "base": "mine", "preset": "fast", "memory": "12",
              "settings": {"buckets": False, "masks": "none"}}
    client.post(f"{at}/pictures/{shot}/seen", json=chosen)
    asked = fake.asked[-1][1]
    assert {k: asked[k] for k in chosen} == chosen and asked["nouns"] == ["cat", "dog"]
    refused = client.post(f"{at}/pictures/{shot}/seen", json={"settings": {"hue": 1}})
    assert refused.status_code == 400 and "has no setting 'hue'" in refused.json()["error"]


def test_a_thing_is_found_by_its_noun_and_its_mask_kept_where_there_is_none(client: TestClient, fake: Fake) -> None:
    at, (red, green) = draft(client, "red", "green")
    client.patch(at, json={"things": [{"name": "a", "noun": "cat"}, {"name": "b", "noun": "dog"}]})
    cat, dog = [t["id"] for t in client.get(at).json()["things"]]
    half = Image.new("L", (64, 48))
    half.paste(255, (0, 0, 32, 48))
    half.save(painted := io.BytesIO(), "PNG")
    client.put(f"{at}/pictures/{green}/masks/{dog}", files={"file": ("0.png", painted.getvalue())})
    for shot in (red, green):
        told = client.post(f"{at}/pictures/{shot}/masks/{cat}/find", json={"base": "mine"}).json()
        assert told["found_by"] == "GrabCut"
        assert (fake.asked[-1][1]["pointed"], fake.asked[-1][1]["base"]) == ({"word": "cat"}, "mine")
    assert [set(s["masks"]) for s in told["draft"]["shots"]] == [{cat}, {cat, dog}]
    kept = Image.open(io.BytesIO(client.get(f"{at}/pictures/{green}/masks/{cat}").content))
    assert (kept.getpixel((16, 24)), kept.getpixel((48, 24))) == (0, 255)  # what the dog has stays the dog's
    again = client.post(f"{at}/pictures/{red}/masks/{cat}/find", json={}).json()
    assert again["found_by"] == "" and len(fake.asked) == 2


def test_a_mask_that_is_painted_while_it_is_looked_for_stays(client: TestClient, fake: Fake) -> None:
    at, (shot,) = draft(client, "red")
    client.patch(at, json={"things": [{"name": "a", "noun": "cat"}, {"name": "b", "noun": "dog"}]})
    cat, dog = [t["id"] for t in client.get(at).json()["things"]]
    grey = png("#909090", mode="L")
    fake.meanwhile = lambda: client.put(f"{at}/pictures/{shot}/masks/{cat}", files={"file": ("0.png", grey)})
    assert client.post(f"{at}/pictures/{shot}/masks/{cat}/find", json={}).json()["found_by"] == ""
    assert Image.open(io.BytesIO(client.get(f"{at}/pictures/{shot}/masks/{cat}").content)).getextrema() == (144, 144)
    fake.meanwhile = lambda: client.put(f"{at}/pictures/{shot}/masks/{cat}",
                                        files={"file": ("0.png", png("white", mode="L"))})
    refused = client.post(f"{at}/pictures/{shot}/masks/{dog}/find", json={})
    assert refused.status_code == 400 and "belongs to another thing" in refused.json()["error"]


def test_the_real_process_finds_a_boxed_thing_and_outlives_a_wrong_question(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    looker = LookerProcess()
    picture, out = SAMPLES / "scenes" / "koala-firetruck" / "img.png", tmp_path / "mask.png"
    told = {"picture": str(picture), "base": "starter", "offline": True, "out": str(out)}
    try:
        with pytest.raises(StudioError, match="point again"):
            looker.ask("mask", pointed={}, **told)
        child = looker._child.pid
        with pytest.raises(StudioError, match=r"look at the picture failed by a fault .* \(KeyError: 'guess'\)"):
            looker.ask("guess")
        assert looker._child.pid == child
        assert looker.ask("mask", pointed={"box": [0, 0.2, 0.5, 0.95]}, **told) == {"found_by": "GrabCut"}
        assert Image.open(out).getextrema()[1] == 255
    finally:
        looker.close()


def test_a_process_that_ends_is_one_sentence_and_the_next_question_starts_another(
        monkeypatch: pytest.MonkeyPatch) -> None:
    looker = LookerProcess()
    monkeypatch.setattr("app.child.sys.executable", "/bin/true")
    with pytest.raises(StudioError, match=r"ended unexpectedly \(code 0\)"):
        looker.ask("mask")
    assert looker._child.pid is None
    looker.close()


def test_its_memory_is_given_back_after_a_while_without_work(monkeypatch: pytest.MonkeyPatch) -> None:
    looker = LookerProcess(idle=0.05)
    closed = []
    monkeypatch.setattr(looker._child, "tell", lambda **question: None)
    monkeypatch.setattr(looker._child, "read", dict)
    monkeypatch.setattr(looker, "close", lambda: closed.append(True))
    looker.ask("mask")
    assert looker._timer
    looker._timer.join(5)
    assert closed == [True]


def test_captioners_are_those_whose_weights_are_here(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captioners, "try_to_load_from_cache", lambda place, file: file if place == BLIP else None)
    assert client.get("/studio/captioners").json() == [BLIP]
