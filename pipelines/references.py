"""Pictures from people: checked, turned upright, stripped of metadata, kept as PNG."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from adapters.errors import StudioError
from adapters.files import sync_folder, write_atomic
from pipelines.picture_parts import check_exif, check_parts

MAX_IMAGES = 30
MAX_PIXELS = 40_000_000
MAX_WEBP_PIXELS = 25_000_000  # its decoder holds four copies of them, where two of other pictures are held
MIN_SIDE = 32
MAX_SIDE = 2048  # of what is kept; no base learns from more
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
MASK_NAME = re.compile(r"(?:(?P<stem>.+)[-_])?mask(?:label)?[-_]?(?P<number>\d*)", re.IGNORECASE)
_EXIF = ("exif", "Raw profile type exif")  # where Pillow looks for it
_BAND = 1 << 20  # pixels that are converted at a time
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
# What Pillow's decoders raise for damaged files.
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, MemoryError, TypeError, LookupError,
                   ArithmeticError, struct.error, zlib.error)


@dataclass(frozen=True)
class Reference:
    """A checked picture in the studio's own folder, with the SHA-256 of the file it came from."""

    path: Path
    sha256: str


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture in a file, its size read from the header and checked, no pixel decoded yet.

    Raises StudioError for anything that is not a whole picture of a sensible size, also while the block reads on.
    """
    name = path.name
    try:
        check_parts(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                _check_size(name, *image.size, image.format)
                check_exif(name, _exif_of(image))
                yield image
    except UnidentifiedImageError as error:
        raise StudioError(f"'{name}' is not a PNG, JPEG, WebP or BMP picture, whatever its name "
                          "says; export it as one of these.") from error
    except FileNotFoundError as error:
        raise StudioError(f"There is no file '{path}'; check the path.") from error
    except Image.DecompressionBombError as error:
        raise StudioError(f"'{name}' has far more than the {MAX_PIXELS // 1_000_000} megapixels that "
                          "are accepted; make it smaller.") from error
    except _DECODER_ERRORS as error:
        raise StudioError(f"'{name}' is damaged or cut off ({str(error)[:80]}); take a fresh "
                          "copy.") from error


def open_image(path: Path) -> Image.Image:
    """A picture as upright RGB without metadata; transparency becomes white. Raises StudioError as `opened`."""
    with opened(path) as image:
        image.load()
        check_exif(path.name, _exif_of(image))  # a PNG's may stand behind its pixels
        turn_upright(image)
        return _plain(image)


def turn_upright(image: Image.Image) -> None:
    """Turn a picture as its EXIF says, in place, and forget the EXIF, which Pillow would write anew, entry by entry."""
    image.getexif()
    for name in _EXIF:
        image.info.pop(name, None)
    ImageOps.exif_transpose(image, in_place=True)


def _exif_of(image: Image.Image) -> int:
    """Bytes of EXIF, of which a PNG's text has two letters each."""
    raw, text = (image.info.get(name, "") for name in _EXIF)
    return max(len(raw), len(text) // 2)


def _check_size(name: str, width: int, height: int, form: str | None) -> None:
    if width * height > MAX_PIXELS:
        raise StudioError(
            f"'{name}' has {width * height / 1e6:.0f} megapixels, at most "
            f"{MAX_PIXELS // 1_000_000} are accepted; make it smaller."
        )
    if form == "WEBP" and width * height > MAX_WEBP_PIXELS:
        raise StudioError(f"'{name}' has {width * height / 1e6:.0f} megapixels, at most {MAX_WEBP_PIXELS // 1_000_000} "
                          "are accepted of a WebP picture; save it as JPEG or PNG, or make it smaller.")
    if min(width, height) < MIN_SIDE:
        raise StudioError(f"'{name}' is {width}x{height} pixels, at least {MIN_SIDE} a "
                          "side are needed; take a larger picture.")


def _plain(image: Image.Image) -> Image.Image:
    """RGB on white, with nothing but pixels: a new picture, made in bands, so that a large one is there only twice."""
    plain = Image.new("RGB", image.size)
    rows = max(_BAND // image.width, 1)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        plain.paste(_on_white(band), (0, top))
    return plain


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, which `convert` would clip at 255
        image = Image.fromarray((np.array(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image)
        image = canvas
    return image if image.mode == "RGB" else image.convert("RGB")


def list_folder(folder: Path) -> list[Path]:
    """The pictures in a folder, by name; masks and hidden files are not pictures to learn from."""
    if not folder.is_dir():
        raise StudioError(f"'{folder}' is not a folder; give the folder that holds the pictures.")
    return sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES
                  and not p.name.startswith(".") and not is_mask(p))


def is_mask(path: Path) -> bool:
    """Whether a file is a mask by its name: 'mask0', 'cat-mask1', OneTrainer's 'cat-masklabel'."""
    return MASK_NAME.fullmatch(path.stem) is not None


def take_in(paths: Sequence[Path], folder: Path, most: int = MAX_IMAGES) -> list[Reference]:
    """Check every picture, `most` of them, then copy all into `folder` as `00.png`, `01.png`, ….

    Nothing is written unless every picture is good.
    """
    if not paths:
        raise StudioError(f"There are no pictures; give 1 to {most} pictures of one thing.")
    if len(paths) > most:
        raise StudioError(f"{len(paths)} pictures were given, at most {most} are used; "
                          "keep the best ones.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=folder.parent) as scratch:
        # One picture in memory at a time: thirty from a phone would be gigabytes.
        digits = max(len(str(len(paths) - 1)), 2)
        references = [_keep(source, Path(scratch) / f"{number:0{digits}d}.png", folder)
                      for number, source in enumerate(paths)]
        folder.mkdir(exist_ok=True)
        for reference in references:
            os.replace(Path(scratch) / reference.path.name, reference.path)
        for changed in (folder, folder.parent):
            sync_folder(changed)
    return references


def _keep(source: Path, scratch: Path, folder: Path) -> Reference:
    """Write one checked picture of at most MAX_SIDE pixels a side."""
    image = open_image(source)
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    write_atomic(scratch, lambda p: image.save(p, "PNG"))
    return Reference(folder / scratch.name, hashlib.sha256(source.read_bytes()).hexdigest())
