"""What stands in and beside an exported file for other programs: hash, thumbnail, sidecar."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image

from adapters.files import write_atomic, write_text
from adapters.labels import sidecar
from adapters.record import AdapterRecord
from adapters.tensors import write_tensors

THUMBNAIL = 256  # pixels a side, as ModelSpec asks


def write_dressed(out: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str],
                  record: AdapterRecord, phrase: str, preview: Path) -> None:
    """Write tensors with metadata, the hash and thumbnail added, then `.json` and `.preview.png` beside them.

    `preview` need not exist. `phrase` is what to write in the prompt of the program that finds the sidecar.
    """
    content = safetensors.torch.save({k: t.detach().cpu().contiguous() for k, t in tensors.items()})
    body = content[8 + int.from_bytes(content[:8], "little"):]
    added = {"modelspec.hash_sha256": f"0x{hashlib.sha256(body).hexdigest()}"}
    if preview.is_file():
        added["modelspec.thumbnail"] = thumbnail(preview)
    write_tensors(out, tensors, {**metadata, **added})
    write_sidecar(out, record, phrase, preview)


def write_sidecar(out: Path, record: AdapterRecord, phrase: str, preview: Path) -> None:
    """`<stem>.json`, and `<stem>.preview.png` where there is a picture."""
    write_text(out.with_suffix(".json"), json.dumps(sidecar(record, phrase), indent=1))
    if preview.is_file():
        write_atomic(out.with_suffix(".preview.png"), lambda p: shutil.copyfile(preview, p) and None)


def thumbnail(picture: Path) -> str:
    """A JPEG of 256 x 256 as a data address."""
    buffer = io.BytesIO()
    with Image.open(picture) as image:
        image.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
