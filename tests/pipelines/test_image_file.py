"""Settings into pictures and out again, from this studio and from A1111, and from files that mean harm."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from adapters.errors import StudioError
from adapters.files import sha256
from pipelines.image_file import UsedAdapter, intact, parameters, read_settings, save_png, save_sheet, tensors_hash
from pipelines.request import Request
from tests.pipelines.tools import image

SETTINGS: dict[str, Any] = {
    "prompt": "a (cat:1.2), red: new\nsecond line", "negative_prompt": "blurry, dark", "seed": 7, "steps": 9,
    "guidance": 4.5, "sampler": "DPM++ 2M", "schedule": "Karras", "width": 64, "height": 96, "base": "starter"}
HAT = UsedAdapter("hat", 0.8, {"bias": "0.6"}, "0123456789ab")
A1111 = ("photo of mycat <lora:mycat:0.8>, (sharp:1.2)\nsecond line\nNegative prompt: blurry\nand dark\n"
         "Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 42, Size: 512x768, Model hash: "
         '6ce0161689, Model: "v1,5: pruned", Lora hashes: "mycat: 801f5d2c1395", Version: v1.10.1')


def save(path: Path, **chunks: str) -> Path:
    info = PngImagePlugin.PngInfo()
    for name, text in chunks.items():
        info.add_itxt(name, text)
    image().save(path, "PNG", pnginfo=info)
    return path


def test_the_line_has_a1111s_form() -> None:
    text = parameters({**SETTINGS, "base": "/somewhere/mod,el.safetensors", "model_hash": "6ce0161689"}, [HAT])
    assert text == (
        "a (cat:1.2), red: new\nsecond line <lora:hat:0.8>\nNegative prompt: blurry, dark\n"
        "Steps: 9, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 4.5, Seed: 7, Size: 64x96, "
        'Model hash: 6ce0161689, Model: "mod,el", Lora hashes: "hat: 0123456789ab", Version: Semblance-0.1')


def test_what_the_studio_wrote_comes_back_whole(tmp_path: Path) -> None:
    save_png(image(), tmp_path / "x.png", {**SETTINGS, "upscale": 2.0, "upscale_strength": 0.4}, [HAT])
    made = read_settings(tmp_path / "x.png")
    wanted = {k: v for k, v in SETTINGS.items() if k != "base"} | {"upscale": 2.0, "upscale_strength": 0.4}
    assert made.request == wanted and Request.model_validate(made.request)
    assert (made.base, made.adapters, made.notices) == ("starter", [("hat", 0.8, {"bias": "0.6"})], [])


def test_a_private_prompt_is_not_in_the_file_and_all_else_is(tmp_path: Path) -> None:
    save_png(image(), tmp_path / "x.png", {**SETTINGS, "private": True}, [HAT])
    assert b"cat" not in (tmp_path / "x.png").read_bytes() and b"blurry" not in (tmp_path / "x.png").read_bytes()
    made = read_settings(tmp_path / "x.png")
    wanted = {k: v for k, v in SETTINGS.items() if k != "base"} | {"prompt": "", "negative_prompt": "", "private": True}
    assert made.request == wanted and made.adapters == [("hat", 0.8, {"bias": "0.6"})]
    assert made.notices == ["Its prompt was kept private and is not in it."]


def test_a1111s_settings_come_back_with_what_is_not_known_here_named(tmp_path: Path) -> None:
    made = read_settings(save(tmp_path / "x.png", parameters=A1111))
    assert made.request == {
        "prompt": "photo of mycat <lora:mycat:0.8>, (sharp:1.2)\nsecond line", "negative_prompt": "blurry\nand dark",
        "steps": 30, "sampler": "DPM++ 2M", "schedule": "Karras", "guidance": 7.0, "seed": 42, "width": 512,
        "height": 768}
    assert made.base == "" and not made.adapters
    assert made.notices == ["It was painted with the model 'v1,5: pruned'; choose that as the base if you have it."]


def test_our_own_line_reads_back_as_a1111_would(tmp_path: Path) -> None:
    made = read_settings(save(tmp_path / "x.png", parameters=parameters(SETTINGS, [HAT])))
    assert made.request == {k: v for k, v in SETTINGS.items() if k != "base"} | {
        "prompt": SETTINGS["prompt"] + " <lora:hat:0.8>"}


@pytest.mark.parametrize(("pairs", "wanted", "said"), [
    ("Steps: 20, Sampler: DPM++ 2M Karras, Seed: 1", {"steps": 20, "sampler": "DPM++ 2M", "schedule": "Karras",
                                                      "seed": 1}, []),
    ("Steps: 9999, Sampler: Euler a, Seed: -1", {"sampler": "Euler a"}, ["seed '-1'", "steps '9999'"]),
    ("Steps: 5, Sampler: Magic, Seed: 1", {"steps": 5, "seed": 1}, ["sampler 'Magic'"]),
    ("Steps: 5, Seed: 1, Size: 64x64, Hires upscale: 1.5, Denoising strength: 0.3",
     {"steps": 5, "seed": 1, "width": 64, "height": 64, "upscale": 1.5, "upscale_strength": 0.3}, []),
    ("Steps: 5, Seed: 1, CFG scale: nan, Denoising strength: 0.3", {"steps": 5, "seed": 1},
     ["another picture", "guidance 'nan'"]),
])
def test_pairs_are_taken_over_where_they_are_possible(tmp_path: Path, pairs: str, wanted: dict[str, Any],
                                                      said: list[str]) -> None:
    made = read_settings(save(tmp_path / "x.png", parameters=f"a cat\n{pairs}"))
    assert made.request == {"prompt": "a cat", "negative_prompt": "", **wanted}
    assert len(made.notices) == len(said) and all(s in n for s, n in zip(said, made.notices, strict=True))


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_a_comment_in_exif_is_read(tmp_path: Path, format: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode("utf-16-be")
    image().save(tmp_path / "x.jpg", format, exif=exif)
    assert read_settings(tmp_path / "x.jpg").request["seed"] == 42


@pytest.mark.parametrize("chunks", [
    {}, {"parameters": "just words"}, {"parameters": "a\nSteps: 1, Seed: 2"}, {"semblance": "{}"},
    {"semblance": "[" * 60_000}, {"semblance": '{"prompt": 1}'}, {"semblance": '{"prompt": "x", "adapters": 5}'},
    {"semblance": '{"prompt": "x", "adapters": [{"name": "a", "strength": NaN}]}'},
    {"parameters": "a\n" + "x" * 70_000 + "Steps: 1, Seed: 2, Size: 64x64"}, {"parameters": "w " * 32_000},
    {"parameters": "a\n" + 'a:"' * 20_000},
])
def test_a_picture_without_settings_is_one_sentence_and_soon(tmp_path: Path, chunks: dict[str, str]) -> None:
    with pytest.raises(StudioError, match=r"'x\.png' does not say how it was made"):
        read_settings(save(tmp_path / "x.png", **chunks))


def test_fields_that_are_not_possible_are_left_out_of_our_own_chunk(tmp_path: Path) -> None:
    chunk = {**SETTINGS, "steps": "many", "sampler": "Magic", "seed": 1e300, "images": 64, "strength": 0.5,
             "evil": "x", "base": 5}
    made = read_settings(save(tmp_path / "x.png", semblance=json.dumps(chunk)))
    assert made.request == {k: SETTINGS[k] for k in ("prompt", "negative_prompt", "guidance", "schedule", "width",
                                                     "height")}
    assert made.base == "" and len(made.notices) == 4


def test_a_text_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    plain = save(tmp_path / "x.png").read_bytes()
    bomb = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * 200_000_000))
    (tmp_path / "x.png").write_bytes(plain[:33] + bomb + plain[33:])
    with pytest.raises(StudioError, match=r"x\.png"):
        read_settings(tmp_path / "x.png")


def test_what_is_no_picture_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(StudioError, match="is not a PNG"):
        read_settings(tmp_path / "x.png")


def test_a_loras_hash_is_of_its_tensors_alone(tmp_path: Path) -> None:
    header, data = b'{"__metadata__":{"a":"b"}}', b"0123456789"
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + data)
    (tmp_path / "data").write_bytes(data)
    assert tensors_hash(tmp_path / "x.safetensors") == sha256(tmp_path / "data")[:12]


def test_a_sheet_says_every_adapter_of_its_pictures_and_is_intact(tmp_path: Path) -> None:
    files = [tmp_path / "0.png", tmp_path / "1.png", tmp_path / "2.png"]
    for file, used in zip(files, ([], [HAT], [HAT, UsedAdapter("cape", 1.0, {}, "f" * 12)]), strict=True):
        save_png(image(), file, {**SETTINGS, "safety": "withheld" if file == files[2] else "passed"}, used)
    save_sheet(image(), tmp_path / "sheet.png", files)
    made = read_settings(tmp_path / "sheet.png")
    assert sorted(name for name, *_ in made.adapters) == ["cape", "hat"] and made.request["seed"] == 7
    assert intact(tmp_path / "sheet.png") is True and made.safety == "withheld"
