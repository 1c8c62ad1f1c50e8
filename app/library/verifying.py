"""Whether a picture or an adapter is as this studio wrote it, and what it says of where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapters.errors import StudioError
from adapters.files import read_header
from adapters.identity import BaseIdentity, family_hint
from adapters.labels import with_own_labels
from adapters.record import HEADER_KEY, AdapterRecord, read_record
from app.library import credentials
from pipelines import image_file


def verify(path: Path) -> dict[str, Any]:
    """`intact` (true, false, or None when the file does not say), `says` (one sentence), and what the file tells.

    The check tells damage and editing from the original. It is no signature: it does not say who wrote the file. A
    picture's `credentials` are one, where it has them and they can be read here (see credentials.read).
    """
    if not path.is_file():
        raise StudioError(f"There is no file '{path}'; check the path.")
    if path.suffix.lower() == ".safetensors":
        return _adapter(path)
    return _picture(path)


def _adapter(path: Path) -> dict[str, Any]:
    from adapters.studio_file import intact

    record, whole = _exported(path) or read_record(path), intact(path)
    told = {"name": record.name, "method": record.method, "base": record.base.name or record.base.family,
            "base_hash": record.base.hash, "trigger": record.phrase, "provenance": record.provenance,
            "person": record.shows_a_person}
    return {"file": path.name, "kind": "adapter", "intact": whole, "says": _sentence(path, whole, "tensors"), **told}


def _exported(path: Path) -> AdapterRecord | None:
    """What a file says that the studio exported for other programs; None for any other."""
    from adapters.studio_file import DIGEST_KEY

    metadata = read_header(path).metadata
    family = family_hint(metadata)
    if family is None or HEADER_KEY in metadata or DIGEST_KEY not in metadata:
        return None
    said = AdapterRecord(kind="", method="exported", name=metadata.get("modelspec.title", ""),
                         base=BaseIdentity(family=family, name="", hash=""),
                         trigger=metadata.get("modelspec.trigger_phrase", ""))
    return with_own_labels(said, metadata)


def _picture(path: Path) -> dict[str, Any]:
    whole = image_file.intact(path)
    made = image_file.read_settings(path).model_dump() if whole is not None else None
    return {"file": path.name, "kind": "picture", "intact": whole, "says": _sentence(path, whole, "pixels"),
            "made": made, "credentials": credentials.read(path)}


def _sentence(path: Path, whole: bool | None, what: str) -> str:
    if whole is None:
        return f"'{path.name}' does not say what its {what} were when it was written; nothing can be checked."
    if whole:
        return f"'{path.name}' is intact: its {what} are those that the studio wrote."
    return f"'{path.name}' was changed: its {what} are not those that the studio wrote."
