"""Embeddings in PyTorch's own form (`.pt`, `.bin`), opened without running what may be in them.

A pickle is a program. These are read only by `torch.load(weights_only=True)`, which knows tensors and
plain containers and refuses everything else, and only after their size has been looked at. The studio
never writes this form.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import torch

from adapters.errors import StudioError
from adapters.tokens import a1111_format, diffusers_format, sdxl_format

MAX_BYTES = 8 << 20
_BEGINNINGS = (b"PK\x03\x04", b"\x80")


def recognise(path: Path) -> bool:
    """Whether the file begins like PyTorch's zip or its older bare pickle.

    A safetensors header of the right length begins with a pickle's byte, but has '{' as its ninth.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
            return start.startswith(_BEGINNINGS) and start[8:] != b"{"
    except OSError as error:
        raise StudioError(f"'{path}' could not be opened ({error.strerror}); check the path.") from error


def read(path: Path) -> dict[str, tuple[torch.Tensor, ...]]:
    """The word ('' where the file names none) to its vectors.

    Reads A1111's `{"string_to_param": {"*": [k, d]}, "name": …}`, SDXL's `{clip_l, clip_g}` and diffusers'
    `{token: [k, d]}`. Raises StudioError for anything else, and for whatever would have to be run.
    """
    _check_size(path)
    try:
        # Bytes, because by a path torch.load goes by the file's ending.
        content = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise StudioError(f"'{path.name}' should hold tensors alone, and it is damaged or holds a program that opening "
                          "it would run; nothing of it was run, take a .safetensors copy.") from error
    except (RuntimeError, ValueError, EOFError, OSError, KeyError, IndexError, TypeError, AttributeError,
            AssertionError, MemoryError, RecursionError, OverflowError) as error:
        raise _neither(path) from error
    if not isinstance(content, dict) or not all(isinstance(k, str) for k in content):
        raise StudioError(f"'{path.name}' should hold a table of tensors and holds a {type(content).__name__}; "
                          "choose an embedding file.")
    if "string_to_param" in content:
        return _a1111(content, path.name)
    if sdxl_format.recognise(set(content)):
        return sdxl_format.decode(content, path.name)
    return diffusers_format.decode(content, path.name)


def _a1111(content: dict[str, object], file: str) -> dict[str, tuple[torch.Tensor, ...]]:
    table = content["string_to_param"]
    if not isinstance(table, dict) or not all(isinstance(k, str) for k in table):
        raise StudioError(f"'{file}' should hold a table under 'string_to_param' and holds a "
                          f"{type(table).__name__}; choose an embedding file.")
    name = content.get("name")
    (rows,) = a1111_format.decode(table, file).values()
    return {name if isinstance(name, str) else "": rows}


def _check_size(path: Path) -> None:
    """The file, and what its zip would unfold to, must be as small as embeddings are."""
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise _neither(path) from error
        if any(e.compress_type != zipfile.ZIP_STORED for e in entries):
            raise StudioError(f"'{path.name}' is compressed, which embeddings by PyTorch are not; take a "
                              ".safetensors copy.")
        size = max(size, sum(e.file_size for e in entries))
    if size > MAX_BYTES:
        raise StudioError(f"'{path.name}' should be an embedding of at most {MAX_BYTES >> 20} MB and has "
                          f"{size >> 20} MB; other models in this form can carry programs and are not opened, take a "
                          ".safetensors copy.")


def _neither(path: Path) -> StudioError:
    return StudioError(f"'{path.name}' is not a whole safetensors file, and no whole embedding in PyTorch's form "
                       "either; take a fresh copy of the file.")
