"""Signed manifests in pictures: what was signed is told from what was changed, and nothing of the picture is lost."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapters.errors import StudioError
from app.library import credentials
from app.library.verifying import verify
from pipelines.image_file import read_settings, save_png
from tests.app.library.conftest import SETTINGS

pytest.importorskip("c2pa")


def test_a_signed_picture_says_what_made_it_and_keeps_pixels_and_text(picture: Path, tmp_path: Path) -> None:
    before, pixels = read_settings(picture), np.array(Image.open(picture))
    assert verify(picture)["credentials"] is None
    assert credentials.sign(picture, tmp_path)
    found = verify(picture)
    assert found["intact"] and found["credentials"]["valid"] and found["credentials"]["signer"] == "Semblance studio"
    assert found["credentials"]["made"]["prompt"] == "a cat"
    assert found["credentials"]["made"]["adapters"][0]["name"] == "mycat"
    assert read_settings(picture) == before and np.array_equal(np.array(Image.open(picture)), pixels)


def test_every_changed_byte_of_the_pixels_or_text_makes_it_invalid(picture: Path, tmp_path: Path) -> None:
    credentials.sign(picture, tmp_path)
    whole = picture.read_bytes()
    places = [whole.index(b"a cat"), whole.rindex(b"IDAT") + 40, len(whole) - 200]
    for at in places:
        picture.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        found = credentials.read(picture)
        assert found is None or found["valid"] is False, at
    picture.write_bytes(whole)
    assert (found := credentials.read(picture)) and found["valid"]


def test_a_private_prompt_is_not_signed_into_it_either(tmp_path: Path) -> None:
    save_png(Image.new("RGB", (32, 32)), tmp_path / "p.png", {**SETTINGS, "private": True}, [])
    credentials.sign(tmp_path / "p.png", tmp_path)
    assert b"a cat" not in (tmp_path / "p.png").read_bytes()
    assert (found := credentials.read(tmp_path / "p.png")) and found["made"]["private"] is True


def test_the_key_is_made_once_and_for_its_owner_alone(picture: Path, tmp_path: Path) -> None:
    credentials.sign(picture, tmp_path)
    key = tmp_path / credentials.FOLDER / "studio.pem"
    first = key.read_bytes()
    credentials.sign(picture, tmp_path)
    assert key.read_bytes() == first
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def test_a_key_that_cannot_sign_is_a_sentence_and_the_picture_stays(picture: Path, tmp_path: Path) -> None:
    (tmp_path / credentials.FOLDER).mkdir()
    (tmp_path / credentials.FOLDER / "studio.pem").write_bytes(b"no key")
    before = picture.read_bytes()
    with pytest.raises(StudioError, match="was painted and could not be signed"):
        credentials.sign(picture, tmp_path)
    assert picture.read_bytes() == before


def test_a_folder_is_signed_once_and_only_what_was_made_here(picture: Path, tmp_path: Path) -> None:
    folder, home = tmp_path / "run" / "previews", tmp_path / "home"
    folder.mkdir(parents=True)
    home.mkdir()
    picture.rename(folder / "a.png")
    Image.new("RGB", (8, 8)).save(folder / "reference.png")
    before = (folder / "reference.png").read_bytes()
    assert credentials.sign_all(tmp_path / "run", home) == 1
    signed = (folder / "a.png").read_bytes()
    assert (found := credentials.read(folder / "a.png")) and found["valid"]
    assert credentials.sign_all(tmp_path / "run", home) == 0 and (folder / "a.png").read_bytes() == signed
    assert (folder / "reference.png").read_bytes() == before


def test_without_the_package_nothing_is_signed_or_claimed(picture: Path, tmp_path: Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    before = picture.read_bytes()
    monkeypatch.setattr(credentials, "available", lambda: False)
    assert credentials.sign(picture, tmp_path) is False and picture.read_bytes() == before
    assert verify(picture)["credentials"] is None and not (tmp_path / credentials.FOLDER).exists()
