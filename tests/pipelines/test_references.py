from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from adapters.errors import StudioError
from adapters.files import sha256
from pipelines import references
from pipelines.references import MAX_IMAGES, MIN_SIDE, list_folder, open_image, take_in
from pipelines.shipped import REPOSITORY


def picture(width: int = 48, height: int = 40, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def flat_png(width: int, height: int) -> bytes:
    """A black 1-bit PNG without ever holding its pixels."""
    packer, row = zlib.compressobj(9), bytes(1 + (width + 7) // 8)
    data = b"".join([packer.compress(row * 100) for _ in range(height // 100)] + [packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    paths = []
    for number, form in enumerate(["PNG", "JPEG", "WEBP", "BMP"]):
        path = tmp_path / f"in{number}.{form.lower()}"
        path.write_bytes(encoded(picture(seed=number), form))
        paths.append(path)
    return paths


def test_taken_pictures_are_numbered_pngs_with_the_hash_of_their_source(good: list[Path],
                                                                        tmp_path: Path) -> None:
    taken = take_in(good, tmp_path / "out")
    assert [r.path.name for r in taken] == ["00.png", "01.png", "02.png", "03.png"]
    assert [r.sha256 for r in taken] == [sha256(p) for p in good]
    assert [Image.open(r.path).format for r in taken] == ["PNG"] * 4


def test_what_was_taken_in_is_there_after_a_power_cut(good: list[Path], tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    listed: dict[Path, list[str]] = {}
    monkeypatch.setattr(references, "sync_folder",
                        lambda folder: listed.setdefault(folder, [p.name for p in folder.iterdir()]))
    taken = take_in(good, tmp_path / "out")
    assert sorted(listed[tmp_path / "out"]) == [r.path.name for r in taken] and "out" in listed[tmp_path]


def test_pixels_of_a_png_are_kept_exactly(good: list[Path], tmp_path: Path) -> None:
    taken = take_in(good[:1], tmp_path / "out")
    assert np.array_equal(np.array(Image.open(taken[0].path)), np.array(picture()))


def test_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="no pictures"):
        take_in([], tmp_path / "out")


@pytest.mark.parametrize("count", [MAX_IMAGES, MAX_IMAGES + 1])
def test_more_than_30_pictures_are_refused(good: list[Path], tmp_path: Path, count: int) -> None:
    if count <= 30:
        assert len(take_in(good[:1] * count, tmp_path / "out")) == 30
    else:
        with pytest.raises(StudioError, match="31 pictures were given, at most 30"):
            take_in(good[:1] * count, tmp_path / "out")


def test_nothing_is_written_when_one_picture_is_bad(good: list[Path], tmp_path: Path) -> None:
    good[3].write_bytes(b"no picture")
    with pytest.raises(StudioError, match=r"'in3\.bmp'"):
        take_in(good, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_cut_off_picture_is_refused(tmp_path: Path, form: str, part: float) -> None:
    data = encoded(picture(200, 200), form)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[:int(len(data) * part)])
    with pytest.raises(StudioError, match=r"'cut\.jpg'"):
        open_image(path)


@pytest.mark.parametrize(("side", "words"), [(10_000, "100 megapixels"), (20_000, "megapixels")])
def test_a_huge_picture_is_refused_by_its_size_before_it_is_decoded(tmp_path: Path, side: int,
                                                                    words: str) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(flat_png(side, side)[:5000])  # its pixels are not even there
    with pytest.raises(StudioError, match=words):
        open_image(path)


def test_the_flat_png_is_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "flat.png").write_bytes(flat_png(200, 100))
    assert open_image(tmp_path / "flat.png").size == (200, 100)


def test_a_tiny_picture_is_refused(tmp_path: Path) -> None:
    picture(MIN_SIDE, MIN_SIDE).save(tmp_path / "fits.png")
    picture(MIN_SIDE - 4, 100).save(tmp_path / "tiny.png")
    assert open_image(tmp_path / "fits.png").size == (MIN_SIDE, MIN_SIDE)
    with pytest.raises(StudioError, match="28x100 pixels"):
        open_image(tmp_path / "tiny.png")


@pytest.mark.parametrize("data", [b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41" + bytes(5000), b"",
                                  b"%PDF-1.7", b"<svg/>", encoded(picture(), "GIF"),
                                  encoded(picture(), "TIFF")])
def test_what_is_no_picture_is_refused_whatever_its_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "film.png").write_bytes(data)
    with pytest.raises(StudioError, match=r"'film\.png' is not a PNG, JPEG, WebP or BMP"):
        open_image(tmp_path / "film.png")


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="There is no file"):
        open_image(tmp_path / "none.png")


def test_a_picture_is_read_by_its_content_not_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(picture(), "JPEG"))
    assert open_image(tmp_path / "a.png").size == (48, 40)


@pytest.mark.parametrize(("orientation", "turned"), [
    (1, lambda a: a), (2, lambda a: a[:, ::-1]), (3, lambda a: a[::-1, ::-1]), (4, lambda a: a[::-1]),
    (5, lambda a: a.transpose(1, 0, 2)), (6, lambda a: np.rot90(a, -1)),
    (7, lambda a: a.transpose(1, 0, 2)[::-1, ::-1]), (8, lambda a: np.rot90(a)),
])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turned: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture().save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(np.array(open_image(tmp_path / "a.png")), turned(np.array(picture())))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_metadata_is_gone(tmp_path: Path, form: str) -> None:
    exif, options = Image.Exif(), {}
    exif[0x010F], exif[0x0112] = "SECRET-CAMERA", 6
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    if form == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Comment", "SECRET-TEXT")
    data = encoded(picture(), form, exif=exif, icc_profile=b"SECRET-PROFILE" * 20, **options)
    assert b"SECRET" in data
    (tmp_path / "a").write_bytes(data)
    [taken] = take_in([tmp_path / "a"], tmp_path / "out")
    read = Image.open(taken.path)
    read.load()
    assert not read.info and not read.getexif() and b"SECRET" not in taken.path.read_bytes()


def test_transparency_becomes_white(tmp_path: Path) -> None:
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[:20] = (255, 0, 0, 255)
    pixels[20:30] = (0, 0, 0, 128)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = np.array(open_image(tmp_path / "a.png"))
    assert (read[0, 0].tolist(), read[39, 0].tolist()) == ([255, 0, 0], [255, 255, 255])
    assert read[25, 0].tolist() == [127, 127, 127]


def test_a_transparent_colour_becomes_white_in_rgb_grey_and_palette(tmp_path: Path) -> None:
    grey = Image.new("L", (40, 40), 7)
    grey.paste(9, (0, 0, 40, 20))
    for mode, clear in (("L", 7), ("RGB", (7, 7, 7)), ("P", 0)):
        image = grey.convert(mode) if mode != "P" else grey.convert("RGB").quantize(2)
        if mode == "P":
            clear = image.getpixel((0, 39))
        image.save(tmp_path / "a.png", transparency=clear)
        read = np.array(open_image(tmp_path / "a.png"))
        assert read[39, 0].tolist() == [255] * 3, mode
        assert read[0, 0].tolist() == [9] * 3, mode


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_other_modes_look_as_they_are(tmp_path: Path, mode: str) -> None:
    image = picture().convert(mode)
    image.save(tmp_path / "a.png")
    read = open_image(tmp_path / "a.png")
    assert read.mode == "RGB"
    assert np.array_equal(np.array(read), np.array(image.convert("RGB")))


def test_cmyk_jpeg_is_read(tmp_path: Path) -> None:
    picture().convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    assert open_image(tmp_path / "a.jpg").mode == "RGB"


def test_16_bit_grey_keeps_its_tones(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint16) * 1024, (40, 1))
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "I;16"
    read = np.array(open_image(tmp_path / "a.png"))
    assert np.array_equal(read, np.repeat((ramp // 256).astype(np.uint8)[..., None], 3, 2))


@pytest.mark.filterwarnings("ignore:.*EXIF", "ignore:Truncated File Read")
def test_mutated_pictures_are_read_or_refused(tmp_path: Path) -> None:
    chance, path = random.Random(3), tmp_path / "m.png"
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    exif.get_ifd(0x8769)[0x9286] = b"a comment"
    sources = [encoded(picture(), "JPEG", exif=exif), encoded(picture(), "PNG", exif=exif),
               encoded(picture().quantize(8), "PNG", transparency=1), encoded(picture(), "BMP"),
               encoded(picture(), "WEBP", exif=exif), encoded(picture(), "JPEG", progressive=True)]
    outcomes = [0, 0]
    for number in range(240):
        data = bytearray(sources[number % len(sources)])
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(min(len(data), 200) if chance.random() < 0.7 else len(data))
            if chance.random() < 0.7:
                data[place] = chance.randrange(256)
            elif chance.random() < 0.5:
                del data[place:place + chance.randint(1, 20)]
            else:
                data[place:place] = chance.randbytes(chance.randint(1, 8))
        path.write_bytes(data)
        try:
            assert open_image(path).mode == "RGB"
            outcomes[0] += 1
        except StudioError:
            outcomes[1] += 1
    assert min(outcomes) > 20


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGB", "RGBA", "I;16", "P, clear", "RGB, clear"])
def test_a_picture_that_is_read_in_bands_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                     mode: str) -> None:
    image, options = picture().convert("RGBA"), {}
    image.putalpha(picture(seed=1).convert("L"))
    if mode == "I;16":
        image = Image.fromarray(np.arange(48 * 40, dtype=np.uint16).reshape(40, 48) * 30)
    else:
        image = image.convert(mode.split(",")[0])
    if mode.endswith("clear"):
        options["transparency"] = image.getpixel((5, 5))
    image.save(tmp_path / "a.png", **options)
    whole = open_image(tmp_path / "a.png")
    for band in (1, 48 * 7):
        monkeypatch.setattr(references, "_BAND", band)
        assert open_image(tmp_path / "a.png").tobytes() == whole.tobytes(), band


PEAK = """
import re, sys
from pathlib import Path
from pipelines.references import take_in

def most() -> int:
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

before = most()
take_in([Path(sys.argv[1])], Path(sys.argv[2]))
print((most() - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process says how much it had at most")
@pytest.mark.parametrize(("form", "mode", "turned"), [("JPEG", "RGB", 6), ("PNG", "RGBA", 1), ("PNG", "RGBA", 8),
                                                      ("PNG", "P", 3), ("WEBP", "RGB", 6)])
def test_the_largest_pictures_take_less_than_450_mb(tmp_path: Path, form: str, mode: str, turned: int) -> None:
    exif, path = Image.Exif(), tmp_path / "large"
    exif[0x0112] = turned
    size = (5000, 5000) if form == "WEBP" else (6500, 6000)
    Image.new(mode, size, 7 if mode == "P" else "salmon").save(path, form, exif=exif, method=0)
    done = subprocess.run([sys.executable, "-c", PEAK, str(path), str(tmp_path / "out")], cwd=REPOSITORY,
                          capture_output=True, text=True, check=True)
    assert int(done.stdout) < 450, f"{done.stdout} MB for two of 149 MB, or four of 95"


def test_of_a_webp_fewer_pixels_are_taken(tmp_path: Path) -> None:
    data = bytearray(encoded(picture(), "WEBP", lossless=True))
    data[21:25] = struct.pack("<I", (6500 - 1) | (6000 - 1) << 14)
    (tmp_path / "a.webp").write_bytes(data)
    with pytest.raises(StudioError, match="39 megapixels, at most 25 are accepted of a WebP"):
        open_image(tmp_path / "a.webp")


def test_a_folder_lists_pictures_by_name_without_masks_and_hidden_files(tmp_path: Path) -> None:
    for name in ["b.PNG", "a.jpg", ".c.png", "a-masklabel.png", "notes.txt", "d.webp"]:
        (tmp_path / name).touch()
    (tmp_path / "e.png").mkdir()
    assert [p.name for p in list_folder(tmp_path)] == ["a.jpg", "b.PNG", "d.webp"]


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="is not a folder"):
        list_folder(tmp_path / "none")
