"""Drafts over HTTP, as the page uses them."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image
from safetensors.torch import save_file

from pipelines.shipped import ASSETS


def png(colour: str = "red", size: tuple[int, int] = (64, 48), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, "PNG")
    return out.getvalue()


def send(client: TestClient, id: str, **files: bytes) -> dict[str, Any]:
    answer = client.post(f"/studio/drafts/{id}/pictures", files=[("files", (f"{n}.png", b)) for n, b in files.items()])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_good_pictures_of_an_upload_are_kept_and_the_others_named(client: TestClient) -> None:
    id = client.post("/studio/drafts").json()["id"]
    answer = send(client, id, red=png("red"), broken=b"no picture", blue=png("blue"))
    assert [s["name"] for s in answer["draft"]["shots"]] == ["red.png", "blue.png"]
    (refused,) = answer["refused"]
    assert "'broken.png' is not a PNG" in refused and "upload" not in refused


def test_a_draft_is_put_together_by_small_changes(client: TestClient) -> None:
    id = client.post("/studio/drafts").json()["id"]
    shot = send(client, id, red=png())["draft"]["shots"][0]["id"]
    at = f"/studio/drafts/{id}"
    client.patch(at, json={"things": [{"name": "mycat", "noun": "cat"}], "prefix": "a photo, "})
    client.patch(f"{at}/pictures/{shot}", json={"caption": "on grass", "flipped": True})
    thing = client.get(at).json()["things"][0]["id"]
    painted = client.put(f"{at}/pictures/{shot}/masks/{thing}", files={"file": ("m.png", png("white", mode="L"))})
    assert painted.json()["shots"][0]["masks"] == [thing]
    mask = client.get(f"{at}/pictures/{shot}/masks/{thing}")
    assert Image.open(io.BytesIO(mask.content)).size == (64, 48)
    assert client.get(f"{at}/pictures/{shot}?small=true").headers["content-type"] == "image/jpeg"
    found = client.patch(f"{at}/captions", json={"find": "grass", "put": "snow"}).json()
    assert found["changed"] == 1 and found["draft"]["shots"][0]["caption"] == "on snow"
    assert client.post(f"{at}/captions", files={"files": ("red.txt", b"by the sea")}).json()["found"] == 1
    assert client.delete(f"{at}/pictures/{shot}/masks/{thing}").json()["shots"][0]["masks"] == []
    assert client.delete(f"{at}/pictures/{shot}").json()["shots"] == []
    assert client.post(f"{at}/pictures/{shot}/restore").json()["shots"][0]["caption"] == "by the sea"
    assert client.get("/studio/drafts").json()[0] | {"changed": 0} == {
        "id": id, "label": "mycat", "changed": 0, "pictures": 1}
    client.delete(at)
    assert client.get("/studio/drafts").json() == []
    assert client.post(f"{at}/restore").json()["label"] == "mycat"


def test_the_checks_speak_of_the_pictures_by_name(client: TestClient) -> None:
    id = client.post("/studio/drafts").json()["id"]
    send(client, id, red=png(size=(100, 80)), pink=png("pink", size=(101, 80)))
    said = [f["text"] for f in client.get(f"/studio/drafts/{id}/checks").json()]
    assert any(s.startswith("2 pictures are few") for s in said)
    assert any("'red.png'" in s and "blurred" in s for s in said)


def test_the_checks_are_those_of_the_base_that_is_chosen(client: TestClient, tmp_path: Path) -> None:
    id = client.post("/studio/drafts").json()["id"]
    send(client, id, red=png(size=(200, 160)))
    base = tmp_path / "mybase"
    shutil.copytree(ASSETS / "sdxl", base)
    save_file({"x": torch.zeros(1)}, base / "unet" / "diffusion_pytorch_model.safetensors")

    def said(**query: str) -> str:
        return " ".join(f["text"] for f in client.get(f"/studio/drafts/{id}/checks", params=query).json())

    assert "less than the" not in said()
    assert "less than the 1024 pixels a side that the base 'mybase' paints" in said(base=str(base))
    for gone in ("/nowhere", "someone/never-downloaded"):
        assert gone in said(base=gone) and "is blurred" in said(base=gone) and "less than the" not in said(base=gone)


@pytest.mark.parametrize("path", ["pictures/000000000000", "pictures/..%2f..%2fstudio.db",
                                  "pictures/000000000000/masks/000000000000"])
def test_nothing_but_the_drafts_own_files_is_served(client: TestClient, path: str) -> None:
    id = client.post("/studio/drafts").json()["id"]
    assert client.get(f"/studio/drafts/{id}/{path}").status_code in (400, 404)


def test_what_makes_no_sense_is_a_sentence(client: TestClient) -> None:
    assert "not here any more" in client.get("/studio/drafts/nothere00000").json()["error"]
    id = client.post("/studio/drafts").json()["id"]
    for wrong in ({"shots": []}, {"title": ["x"]}, {"things": "cat"}, {"id": "0" * 12}, {"self": 1}):
        answer = client.patch(f"/studio/drafts/{id}", json=wrong)
        assert answer.status_code == 400 and answer.json()["error"]


def test_another_site_can_change_nothing(client: TestClient) -> None:
    answer = client.post("/studio/drafts", headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
