"""What went into a picture is in its file, however often it was begun anew, and is found again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from adapters.errors import StudioError
from adapters.files import sha256
from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.record import AdapterRecord
from adapters.studio_file import save
from pipelines.generator import Generator
from pipelines.image_file import UsedAdapter, save_png
from pipelines.ingredients import Ingredients, made_from, pixels_of, save_source, source_of
from pipelines.painter import Painter
from pipelines.references import open_image, take_in
from pipelines.request import Request

SETTINGS = {"prompt": "a cat", "negative_prompt": "", "steps": 3, "sampler": "DDIM", "guidance": 4.0, "seed": 7,
            "width": 48, "height": 40, "base": "starter"}


def photo(path: Path, size: tuple[int, int] = (60, 40)) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6  # as phones note how they were held
    Image.fromarray(pixels).save(path, exif=turned)
    return path


def test_a_copy_saved_anew_upright_has_the_same_pixels(tmp_path: Path) -> None:
    given = photo(tmp_path / "a.jpg")
    copy = tmp_path / "b.png"
    open_image(given).save(copy)
    assert sha256(given) != sha256(copy) and pixels_of(given) == pixels_of(copy)


def test_a_large_picture_has_the_pixels_that_are_kept_of_it(tmp_path: Path) -> None:
    given = photo(tmp_path / "a.png", (2300, 40))
    (kept,) = take_in([given], tmp_path / "kept")
    assert Image.open(kept.path).size == (36, 2048) and pixels_of(given) == pixels_of(kept.path)


def test_the_painter_writes_what_a_picture_was_begun_from(tmp_path: Path, host: Host) -> None:
    given, painter = photo(tmp_path / "a.jpg"), Painter("cpu")
    painter._base = ("starter", Generator(host))
    Image.new("L", (40, 60), 255).save(tmp_path / "mask.png")
    request = Request(prompt="a", steps=2, strength=1.0)
    for mask, out in ((None, "b.png"), (tmp_path / "mask.png", "c.png")):
        painter.paint_files("starter", [], request, [tmp_path / out], edit=(given, mask))
        assert made_from(tmp_path / out).pictures == (sha256(given), pixels_of(given)), out
    painter.paint_files("starter", [], Request(prompt="a", steps=2), [tmp_path / "d.png"])
    assert made_from(tmp_path / "d.png") == Ingredients()


def test_what_came_before_comes_along_through_the_copy_that_is_painted_on(tmp_path: Path) -> None:
    given, copy, begun = photo(tmp_path / "a.jpg"), tmp_path / "copy.png", tmp_path / "b.png"
    save_source(open_image(given), copy, source_of(given))
    assert open_image(copy).tobytes() == open_image(given).tobytes()
    settings = {**SETTINGS, "source": source_of(copy).told()}
    save_png(open_image(copy), begun, settings, [UsedAdapter("ada", 1.0, {}, "h1")])
    again = source_of(begun)
    assert again.pictures[:2] == (sha256(given), pixels_of(given)) and sha256(begun) in again.pictures
    assert again.adapters == (("ada", "h1"),)


@pytest.mark.parametrize("told", ["[]", "{", '{"source": 3, "adapters": {"a": 1}}', '{"adapters": [3, null]}',
                                  '{"source": {"pictures": {"a": 1}, "adapters": [[]]}}', "[" * 9000])
def test_a_record_that_is_none_says_nothing(tmp_path: Path, told: str) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("semblance", told)
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png", pnginfo=chunks)
    assert made_from(tmp_path / "a.png") == Ingredients()


def test_a_long_history_keeps_its_beginning(tmp_path: Path) -> None:
    many = [f"{n:064x}" for n in range(400)]
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("semblance", json.dumps({"source": {"pictures": many, "adapters": []}}))
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png", pnginfo=chunks)
    assert source_of(tmp_path / "a.png").pictures == tuple(many[:240])


def test_an_adapter_that_was_deleted_paints_nothing_though_it_is_in_memory(tmp_path: Path, host: Host,
                                                                           record: AdapterRecord) -> None:
    adapter, painter = LoraAdapter.for_training(host, rank=2, alpha=2, targets=("to_q",)), Painter("cpu")
    adapter.inject(host, "adapter_0")
    save(tmp_path / "ada.safetensors", adapter, record)
    adapter.eject()
    painter._base = ("starter", Generator(host))
    use, request = [(tmp_path / "ada.safetensors", 1.0)], Request(prompt="a", steps=1)
    painter.paint_files("starter", use, request, [tmp_path / "a.png"])
    (tmp_path / "ada.safetensors").unlink()
    with pytest.raises(StudioError, match="'ada' was deleted meanwhile"):
        painter.paint_files("starter", use, request, [tmp_path / "b.png"])
