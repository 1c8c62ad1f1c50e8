"""The history over HTTP: the files are the truth."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.studio import Studio
from pipelines.image_file import UsedAdapter, save_png
from tests.app.http.test_draft_routes import png

AT = "/studio/images"


def add(studio: Studio, number: int, prompt: str, *adapters: str, **changes: object) -> str:
    """A picture as the painter writes it, the `number`th of the day."""
    settings = {"prompt": prompt, "negative_prompt": "blurry", "seed": number, "steps": 9, "guidance": 4.5,
                "sampler": "DDIM", "width": 64, "height": 64, "base": "starter", **changes}
    path = studio.home.images / f"20260101-{number:06d}-abcdef-0.png"
    save_png(Image.new("RGB", (64, 64)), path, settings, [UsedAdapter(a, 1.0) for a in adapters])
    return path.name


def files(client: TestClient, **query: object) -> list[str]:
    return [i["file"] for i in client.get(AT, params=query).json()["images"]]  # type: ignore[arg-type]


def test_pictures_are_listed_newest_first_with_how_they_were_made(client: TestClient, studio: Studio) -> None:
    one, two = add(studio, 1, "a cat", "mycat"), add(studio, 2, "a dog")
    (studio.home.images / "stranger.png").write_bytes(png())
    found = client.get(AT).json()
    assert [i["file"] for i in found["images"]] == [two, one] and found["more"] is False
    assert found["images"][1]["made"]["request"]["prompt"] == "a cat"
    assert found["images"][1]["made"]["adapters"] == [["mycat", 1.0, {}]]


def test_every_word_must_be_found_somewhere_in_the_settings(client: TestClient, studio: Studio) -> None:
    one, two, three = add(studio, 1, "a Cat on grass", "mycat"), add(studio, 2, "a cat"), add(studio, 3, "a dog", "hat")
    assert files(client, q="CAT") == [two, one] and files(client, q="cat grass") == [one]
    assert files(client, q="hat") == [three] and files(client, q="seed 2") == [two] == files(client, q="Seed:2 cat")
    assert files(client, q="nothing") == []


def test_a_page_ends_at_its_limit_and_the_next_goes_on(client: TestClient, studio: Studio) -> None:
    names = [add(studio, n, "a cat") for n in range(5)][::-1]
    first = client.get(AT, params={"limit": 2}).json()
    assert [i["file"] for i in first["images"]] == names[:2] and first["more"]
    assert files(client, limit=2, after=names[1]) == names[2:4]
    last = client.get(AT, params={"limit": 2, "after": names[3]}).json()
    assert [i["file"] for i in last["images"]] == names[4:] and not last["more"]


def test_favourites_outlive_the_process(client: TestClient, studio: Studio) -> None:
    one, two = add(studio, 1, "a cat"), add(studio, 2, "a dog")
    assert client.patch(f"{AT}/{one}", json={"favourite": True}).json()["favourite"]
    assert files(client, favourites=True) == [one]
    assert type(studio.gallery)(studio.home).favourites() == {one}
    client.patch(f"{AT}/{one}", json={"favourite": False})
    assert files(client, favourites=True) == [] and files(client) == [two, one]


def test_a_deleted_picture_is_in_the_trash_and_comes_back_as_it_was(client: TestClient, studio: Studio) -> None:
    one = add(studio, 1, "a cat")
    before = (studio.home.images / one).read_bytes()
    client.patch(f"{AT}/{one}", json={"favourite": True})
    assert client.delete(f"{AT}/{one}").json() == {"deleted": one}
    assert files(client) == [] and client.get(f"{AT}/{one}").status_code == 404
    assert (studio.home.trash / "images" / one).read_bytes() == before
    assert client.post(f"{AT}/{one}/restore").json()["favourite"]
    assert files(client) == [one] and (studio.home.images / one).read_bytes() == before
    assert client.post(f"{AT}/{one}/restore").status_code == 400


def test_a_small_one_is_served_for_lists(client: TestClient, studio: Studio) -> None:
    one = add(studio, 1, "a cat")
    small = client.get(f"{AT}/{one}", params={"small": True})
    assert small.headers["content-type"] == "image/jpeg" and Image.open(io.BytesIO(small.content)).size == (64, 64)


def test_settings_of_a_picture_and_of_an_uploaded_one_say_what_is_missing(client: TestClient, studio: Studio) -> None:
    one = add(studio, 1, "a cat", "ghost")
    found = client.get(f"{AT}/{one}/settings").json()
    assert found["request"]["seed"] == 1 and "'ghost', which is not in the library" in found["notices"][0]
    whole = (studio.home.images / one).read_bytes()
    assert client.post(f"{AT}/settings", files={"file": ("x.png", whole)}).json() == found
    told = client.post(f"{AT}/settings", files={"file": ("bare.png", png())})
    assert told.status_code == 400 and "'bare.png' does not say" in told.json()["error"]
    assert not [p for p in studio.home.temporary.rglob("*") if p.is_file()]


@pytest.mark.parametrize("name", ["..%2fstudio.db", "favourites.json", "20260101-000001-abcdef-9.png", "x.png"])
def test_nothing_but_pictures_is_served_changed_or_deleted(client: TestClient, studio: Studio, name: str) -> None:
    one = add(studio, 1, "a cat")
    client.patch(f"{AT}/{one}", json={"favourite": True})
    for answer in (client.get(f"{AT}/{name}"), client.delete(f"{AT}/{name}"), client.get(f"{AT}/{name}/settings"),
                   client.patch(f"{AT}/{name}", json={"favourite": True}), client.post(f"{AT}/{name}/restore")):
        assert answer.status_code in (400, 404, 405)
    assert Path(studio.home.images / "favourites.json").exists() and files(client) == [one]


def test_a_picture_that_says_nothing_is_shown_all_the_same(client: TestClient, studio: Studio) -> None:
    (studio.home.images / "20260101-000001-abcdef-0.png").write_bytes(png())
    (found,) = client.get(AT).json()["images"]
    assert found["made"] is None
