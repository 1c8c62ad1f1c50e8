"""How many parts a picture's file has, and how much EXIF, counted before a decoder sees them.

Decoders keep every part that a file announces, or go over all its pixels for one: 20 MB of empty parts would take
650 MB, and each scan of sixty bytes a moment, of which a file has room for a million. EXIF's entries may all be of the
same bytes: 400 kB of it would take 800 MB.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Literal

from adapters.errors import StudioError

MOST_PARTS = 50_000  # of a PNG whose writer makes one for each 4 kB, as small as they come, that is 200 MB
MOST_SCANS = 50  # of a JPEG that comes clear bit by bit; writers make about ten
MOST_EXIF = 1 << 16  # bytes; a JPEG's segment holds no more
_JPEG, _PNG, _RIFF, _BMP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM"
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_SCAN, _END, _APP1, _EXIF = 0xDA, 0xD9, 0xE1, b"Exif\0\0"
_BARE = frozenset({0x01, 0xC8, 0xD8, _END, *range(0xF0, 0xFE)})  # markers without a length, as Pillow reads them
_PACKED = (b"\1\0\0\0", b"\2\0\0\0")  # a BMP's run lengths, which Pillow unpacks byte by byte in Python
_PACKED_AT = 30


def check_parts(path: Path) -> None:
    """Raise StudioError for a file whose parts would keep a decoder busy; it need not be a picture, nor be there."""
    if not path.is_file() or not path.stat().st_size:
        return  # whoever opens it says so
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:3] == _JPEG:
            _check_jpeg(path, data)
        elif data[:8] == _PNG:
            _check_blocks(path, data, "big")
        elif data[:4] == _RIFF:
            _check_blocks(path, data, "little")
        elif data[:2] == _BMP and data[_PACKED_AT:_PACKED_AT + 4] in _PACKED:
            raise StudioError(f"'{path.name}' is a BMP picture with packed pixels (RLE), which are not read here; save "
                              "it as PNG.")


def check_exif(name: str, size: int) -> None:
    """Raise StudioError for EXIF of more bytes than are read."""
    if size > MOST_EXIF:
        raise StudioError(f"'{name}' has {size // 1024} kB of EXIF, at most {MOST_EXIF // 1024} are read; save it "
                          "without it.")


def _check_jpeg(path: Path, data: mmap.mmap) -> None:
    """Markers up to the picture's end. What stands between two of them counts byte by byte until the first scan."""
    position, parts, scans, exif = 2, 0, 0, 0
    while found := _MARKER.search(data, position):
        marker = found[1][0]
        if marker == _END and scans:
            return
        parts += 1 if scans else found.end() - position - 1
        scans += marker == _SCAN
        position = found.end()
        length = 0 if marker in _BARE else int.from_bytes(data[position:position + 2], "big")
        if marker == _APP1 and data[position + 2:position + 8] == _EXIF:
            exif += length  # of several, Pillow makes one
        position += length
        check_exif(path.name, exif)
        if scans > MOST_SCANS:
            raise StudioError(f"'{path.name}' is a JPEG picture of more than {MOST_SCANS} scans, which is more than "
                              "one needs; save it as PNG.")
        _check_count(path, parts)


def _check_blocks(path: Path, data: mmap.mmap, order: Literal["big", "little"]) -> None:
    """A PNG's chunks (length, name, content, checksum), or a WebP's (name, length, content, even)."""
    png = order == "big"
    position, parts = (8, 0) if png else (12, 0)
    while (head := data[position:position + 8]) and head[4:] != b"IEND":
        length = int.from_bytes(head[:4] if png else head[4:], order)
        position += 12 + length if png else 8 + length + length % 2
        parts += 1
        _check_count(path, parts)


def _check_count(path: Path, parts: int) -> None:
    if parts > MOST_PARTS:
        raise StudioError(f"'{path.name}' has more than {MOST_PARTS} parts, which is more than a picture needs; save "
                          "it as PNG or JPEG.")
