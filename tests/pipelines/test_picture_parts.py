"""Files of very many parts are refused before a decoder goes over them; what cameras and programs write is taken."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from adapters.errors import StudioError
from pipelines.picture_parts import MOST_PARTS, MOST_SCANS, check_parts
from pipelines.references import open_image
from tests.pipelines.test_references import encoded, picture

LAST_SCAN = b"\xff\xda"


def png(kind: bytes, count: int) -> bytes:
    """A PNG with so many empty chunks of a kind before its pixels."""
    data = encoded(picture(), "PNG")
    at = data.index(b"IDAT") - 4
    return data[:at] + (struct.pack(">I", 0) + kind + struct.pack(">I", zlib.crc32(kind))) * count + data[at:]


def jpeg(between: bytes, count: int) -> bytes:
    """A JPEG with something so many times before its first segment."""
    data = encoded(picture(), "JPEG")
    return data[:2] + between * count + data[2:]


def webp(count: int) -> bytes:
    """A WebP with so many empty chunks behind its pixels."""
    image = picture()
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in image.size)
    body = b"VP8X" + struct.pack("<II", 10, 0) + sides + encoded(image, "WEBP")[12:] + b"JUNK\0\0\0\0" * count
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def scans(more: int) -> bytes:
    """A progressive JPEG whose last scan is there so many times more."""
    data = encoded(picture(), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(LAST_SCAN):-2] * more + data[-2:]


@pytest.mark.parametrize("data", [png(b"prVt", MOST_PARTS), png(b"IDAT", MOST_PARTS),
                                  jpeg(b"\xff\xe5\0\2", MOST_PARTS), jpeg(b"\xff\xd9" + b"\xff\xe5\0\2", MOST_PARTS),
                                  jpeg(b"\xff\xf0\xff\xff", MOST_PARTS), jpeg(b"\xff", MOST_PARTS * 2),
                                  webp(MOST_PARTS)])
def test_a_picture_of_very_many_parts_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "many.png").write_bytes(data)
    with pytest.raises(StudioError, match=r"'many\.png' has more than 50000 parts"):
        open_image(tmp_path / "many.png")


def test_each_scan_more_of_a_jpeg_goes_over_all_its_pixels_so_they_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(scans(MOST_SCANS))
    with pytest.raises(StudioError, match="more than 50 scans"):
        open_image(tmp_path / "a.jpg")


def exif_of(size: int, kind: int = 1, orientation: int = 6) -> bytes:
    """EXIF of about so many bytes, half of which are entries that are each the other half."""
    count, width = size // 24, {1: 1, 3: 2}[kind]
    entries = struct.pack("<HHII", 0x0112, 3, 1, orientation) + b"".join(
        struct.pack("<HHII", 0x8000 + n, kind, size // 2 // width, 8) for n in range(count))
    return b"".join((b"Exif\0\0II*\0", struct.pack("<I", 8 + size // 2), bytes(size // 2),
                     struct.pack("<H", count + 1), entries, bytes(4)))


def with_exif(form: str, exif: bytes) -> bytes:
    if form == "text":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("Raw profile type exif", f"\nexif\n{len(exif):8}\n{exif.hex()}", zip=True)
        return encoded(picture(), "PNG", pnginfo=chunks)
    if form != "JPEG":
        return encoded(picture(), form, exif=exif)
    parts = [exif[at:at + 60_000] for at in range(6, len(exif), 60_000)]
    segments = [b"\xff\xe1" + struct.pack(">H", len(p) + 8) + exif[:6] + p for p in parts]
    data = encoded(picture(), "JPEG")
    return data[:2] + b"".join(segments) + data[2:]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "text"])
def test_exif_whose_entries_are_all_of_the_same_bytes_is_refused_by_its_size(tmp_path: Path, form: str) -> None:
    (tmp_path / "a").write_bytes(with_exif(form, exif_of(200_000)))
    with pytest.raises(StudioError, match=r"'a' has \d+ kB of EXIF, at most 64 are read"):
        open_image(tmp_path / "a")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "text"])
def test_as_much_exif_as_is_read_takes_little_memory(tmp_path: Path, form: str) -> None:
    (tmp_path / "a").write_bytes(with_exif(form, exif_of(58_000, kind=3)))
    tracemalloc.start()
    try:
        image = open_image(tmp_path / "a")
        assert image.size == picture().size[::-1] and tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_a_bmp_that_would_be_unpacked_byte_by_byte_is_refused(tmp_path: Path) -> None:
    data = bytearray(encoded(picture().quantize(8), "BMP"))
    (tmp_path / "a.bmp").write_bytes(data)
    open_image(tmp_path / "a.bmp")
    data[30] = 1
    (tmp_path / "a.bmp").write_bytes(data)
    with pytest.raises(StudioError, match=r"packed pixels \(RLE\)"):
        open_image(tmp_path / "a.bmp")


def test_what_programs_and_cameras_write_is_taken(tmp_path: Path) -> None:
    small, exif = io.BytesIO(), Image.Exif()
    picture().save(small, "JPEG")
    exif.get_ifd(0x8769)[0x927C] = small.getvalue() * 20  # a camera's notes, with pictures in them
    film = LAST_SCAN * MOST_PARTS  # behind the picture, as phones put it
    for data in (scans(10), jpeg(b"\xff", 2000), png(b"prVt", 2000), webp(2000), encoded(picture(), "BMP"),
                 encoded(picture(), "JPEG", exif=exif) + film, encoded(picture(), "PNG") + b"\0" * 8 * MOST_PARTS,
                 encoded(picture(400, 400), "JPEG", restart_marker_blocks=1)):
        (tmp_path / "a").write_bytes(data)
        assert open_image(tmp_path / "a").mode == "RGB"


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM",
                                  b"\xff\xd8\xff\xe1\xff\xff"])
def test_a_part_of_a_file_is_left_to_whoever_opens_it(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    check_parts(tmp_path / "a")
    check_parts(tmp_path / "none")
