"""What stands in and beside an exported file: hashes, thumbnail, sidecar, model card."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image

from adapters.card import model_card, read_figures
from adapters.files import write_atomic, write_text
from adapters.labels import own_labels, sidecar
from adapters.record import AdapterRecord
from adapters.studio_file import DIGEST_KEY
from adapters.tensors import digest, write_tensors

THUMBNAIL = 256  # pixels a side, as ModelSpec asks


def write_dressed(out: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str],
                  record: AdapterRecord, phrase: str, preview: Path) -> None:
    """Write tensors with metadata, hashes, thumbnail and the studio's own labels added, then `.json` and `.preview.png`
    beside them.

    `preview` need not exist. `phrase` is what to write in the prompt of the program that finds the sidecar.
    """
    content = safetensors.torch.save({k: t.detach().cpu().contiguous() for k, t in tensors.items()})
    body = content[8 + int.from_bytes(content[:8], "little"):]
    added = {"modelspec.hash_sha256": f"0x{hashlib.sha256(body).hexdigest()}", DIGEST_KEY: digest(tensors),
             **own_labels(record)}
    if preview.is_file():
        added["modelspec.thumbnail"] = thumbnail(preview)
    write_tensors(out, tensors, {**metadata, **added})
    write_sidecar(out, record, phrase, preview)


def write_sidecar(out: Path, record: AdapterRecord, phrase: str, preview: Path) -> None:
    """`<stem>.json`, and `<stem>.preview.png` where there is a picture."""
    write_text(out.with_suffix(".json"), json.dumps(sidecar(record, phrase), indent=1))
    if preview.is_file():
        write_atomic(out.with_suffix(".preview.png"), lambda p: shutil.copyfile(preview, p) and None)


def write_card(out: Path, record: AdapterRecord, card: Path, notes: Sequence[str], *, exact: bool,
               exported: bool = True) -> None:
    """`<stem>.md`: the model card with `notes` on the export, and what was measured as the adapter's own `card` has it,
    which need not exist, where the file is `exact` and so does the same. `exported` is False beside the studio's own
    form."""
    figures = read_figures(card.read_text("utf-8", errors="replace")) if exact and card.is_file() else {}
    write_text(out.with_suffix(".md"), model_card(record, figures, notes, exported=exported))


def thumbnail(picture: Path) -> str:
    """A JPEG of 256 x 256 as a data address."""
    buffer = io.BytesIO()
    with Image.open(picture) as image:
        image.convert("RGB").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
