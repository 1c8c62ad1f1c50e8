"""Whether a file is as the studio wrote it, asked over HTTP: of files from strangers too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image, PngImagePlugin

from adapters.files import copy_with_metadata, read_header
from adapters.record import HEADER_KEY, AdapterRecord
from app.http import library_routes
from app.studio import Studio
from pipelines.image_file import save_png
from tests.app.http.test_library_routes import word_file
from tests.app.library.conftest import SETTINGS, picture  # noqa: F401
from tests.faults.test_strangers import mutated


@pytest.fixture
def word(tmp_path: Path, record: AdapterRecord) -> Path:
    return word_file(tmp_path / "word.safetensors", record)


def sent(client: TestClient, content: bytes, file: str) -> Response:
    return client.post("/studio/verify", params={"file": file}, content=content)


def test_a_picture_and_an_adapter_are_told_from_changed_ones(client: TestClient, studio: Studio, word: Path,
                                                             picture: Path) -> None:  # noqa: F811
    told = sent(client, picture.read_bytes(), "My Cat.png").json()
    assert (told["file"], told["kind"], told["intact"]) == ("My-Cat.png", "picture", True)
    assert told["made"]["request"]["seed"] == 7 and "is intact" in told["says"]
    told = sent(client, word.read_bytes(), "word.safetensors").json()
    assert (told["kind"], told["intact"], told["trigger"], told["base"]) == ("adapter", True, "<mycat> cat", "v1-5")
    whole = word.read_bytes()
    assert sent(client, whole[:-1] + bytes([whole[-1] ^ 1]), "word.safetensors").json()["intact"] is False
    assert studio.library.entries() == [] and list(studio.home.temporary.iterdir()) == []


@pytest.mark.parametrize(("file", "content", "said"), [
    ("a.pt", b"x", "does not end in"), ("a.safetensors", b"x" * 64, "not a whole safetensors file"),
    ("a.png", b"x" * 64, "is not a PNG"), ("../../a.png", b"", "a.png")])
def test_what_is_neither_is_refused_in_a_sentence(client: TestClient, studio: Studio, file: str, content: bytes,
                                                  said: str) -> None:
    answer = sent(client, content, file)
    assert answer.status_code == 400 and said in answer.json()["error"]
    assert list(studio.home.temporary.iterdir()) == []


@pytest.mark.parametrize(("file", "limit"), [("a.png", "MAX_FILE"), ("a.safetensors", "MOST_ADAPTER")])
def test_a_file_over_the_librarys_limit_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch, file: str,
                                                   limit: str) -> None:
    monkeypatch.setattr(library_routes, limit, 100)
    assert "are the most here" in sent(client, b"x" * 101, file).json()["error"]


@pytest.mark.parametrize("provenance", [
    '{"steps": NaN}', '{"steps": -Infinity}', '{"run": "\\ud800"}', f'{{"a": {"[" * 300}{"]" * 300}}}'])
def test_what_a_stranger_wrote_into_an_adapter_makes_a_whole_answer(client: TestClient, word: Path,
                                                                    provenance: str) -> None:
    metadata = dict(read_header(word).metadata)
    told = {**json.loads(metadata[HEADER_KEY]), "provenance": "HERE"}
    metadata[HEADER_KEY] = json.dumps(told).replace('"HERE"', provenance)
    copy_with_metadata(word, word.with_name("odd.safetensors"), metadata)
    answer = sent(client, word.with_name("odd.safetensors").read_bytes(), "odd.safetensors")
    assert answer.status_code == 200 and answer.json()["intact"] is True and "provenance" in answer.json()


@pytest.mark.parametrize("odd", [{"guidance": float("nan")}, {"seed": "\ud800"}, {"prompt": "\ud800"}, {"prompt": 3}])
def test_what_a_stranger_wrote_into_a_picture_makes_a_whole_answer(client: TestClient, tmp_path: Path,
                                                                   odd: dict[str, Any]) -> None:
    save_png(Image.new("RGB", (64, 64)), tmp_path / "a.png", SETTINGS, [])
    chunks = PngImagePlugin.PngInfo()
    with Image.open(tmp_path / "a.png") as image:
        chunks.add_itxt("semblance", json.dumps({**json.loads(image.info["semblance"]), **odd}))
        image.save(tmp_path / "b.png", pnginfo=chunks)
    answer = sent(client, (tmp_path / "b.png").read_bytes(), "b.png")
    assert answer.status_code in (200, 400) and (answer.json().get("says") or answer.json()["error"]).endswith(".")


def test_mutated_files_are_answered_or_refused(client: TestClient, studio: Studio, word: Path,
                                               picture: Path) -> None:  # noqa: F811
    chance = np.random.default_rng(5)
    for file in (word, picture):
        for _ in range(25):
            answer = sent(client, mutated(file.read_bytes(), chance), file.name)
            assert answer.status_code in (200, 400), answer.text[:300]
    assert list(studio.home.temporary.iterdir()) == []
