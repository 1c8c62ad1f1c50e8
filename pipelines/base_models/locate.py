"""What a person means by `--base`: found and checked before anything heavy is imported."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adapters.errors import StudioError
from adapters.files import read_header
from pipelines.base_models.listed import check_listed
from pipelines.shipped import STARTER

STARTER_PATH = STARTER / "pipeline"
PIPELINES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
_OTHER_PIPELINES = {
    "StableDiffusionXLImg2ImgPipeline": "SDXL's refiner (StableDiffusionXLImg2ImgPipeline)",
    "StableDiffusionInpaintPipeline": "an inpainting model (StableDiffusionInpaintPipeline)",
    "StableDiffusionXLInpaintPipeline": "an inpainting model (StableDiffusionXLInpaintPipeline)",
    "StableDiffusion3Pipeline": "a Stable Diffusion 3 model (StableDiffusion3Pipeline)",
    "FluxPipeline": "a Flux model (FluxPipeline)",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class BaseLocation:
    """A base as it was asked for: its form, where it is (None: on the hub) and a short name."""

    form: Literal["starter", "folder", "file", "hub"]
    path: Path | None
    name: str


def locate(spec: str, *, any_place: bool = False) -> BaseLocation:
    """Resolve 'starter', a diffusers folder, a `.safetensors` checkpoint or a hub id 'owner/name'.

    Raises StudioError when it is none of these, or not listed where it has to be (`any_place` is for those who make
    the list).
    """
    spec = spec.strip()
    if spec == "starter":
        return BaseLocation("starter", STARTER_PATH, "starter")
    if not any_place:
        check_listed(spec)
    try:
        path = Path(spec).expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError):  # a name that the system cannot have, '~nobody'
        path, is_folder, is_file = Path(), False, False
    if is_folder:
        _check_folder(path)
        return BaseLocation("folder", path, path.resolve().name)
    if is_file:
        if path.suffix != ".safetensors":
            raise StudioError(
                f"'{path.name}' is not a .safetensors file; other checkpoint formats can carry "
                "programs and are not opened, convert it first."
            )
        read_header(path)
        return BaseLocation("file", path, path.stem)
    if _HUB_ID.fullmatch(spec):
        return BaseLocation("hub", None, spec)
    raise StudioError(
        f"No base model at '{spec[:200]}'; give 'starter', a diffusers folder, a .safetensors "
        "checkpoint or a hub id such as 'owner/name'."
    )


def named(spec: str) -> str:
    """What may be said of a base or a model elsewhere: 'starter' or a hub id as it is, of a place its last part alone.

    Where something lies on this machine, by names of people and clients perhaps, is nobody else's business.
    """
    try:
        path = Path(spec).expanduser()
        if spec and path.exists():
            return path.resolve().name
    except (OSError, RuntimeError, ValueError):  # a name that the system cannot have, '~nobody'
        pass
    return spec if _HUB_ID.fullmatch(spec) else re.split(r"[\\/]", spec.rstrip("\\/"))[-1]


def lasting(spec: str) -> str:
    """A base as it is found from any folder: a place on this machine in full, unless it is listed as it is written.

    Raises StudioError when there is no such base.
    """
    found = locate(spec)
    if found.form not in ("folder", "file") or found.path is None:
        return spec
    full = str(found.path.absolute())
    try:
        check_listed(full)
    except StudioError:
        return spec
    return full


def _check_folder(path: Path) -> None:
    index = path / "model_index.json"
    if not index.is_file():
        raise StudioError(
            f"'{path}' is a folder without 'model_index.json', so it is no diffusers model; "
            "choose the folder that holds that file."
        )
    try:
        kind = json.loads(index.read_text("utf-8")).get("_class_name")
    except (ValueError, AttributeError, OSError) as error:
        raise StudioError(f"'{index}' is damaged; take a fresh copy of the model.") from error
    if kind not in PIPELINES:
        found = _OTHER_PIPELINES.get(str(kind), f"a {str(kind)[:60]}")
        raise StudioError(f"'{path}' holds {found}; this studio opens Stable Diffusion 1.x, 2.x and XL bases "
                          f"({' or '.join(PIPELINES)}), choose one of these.")
    weights = list(path.glob("*/*.safetensors"))
    if not weights:
        raise StudioError(f"'{path}' holds no .safetensors weights; download that variant of it.")
    for file in weights:
        read_header(file)


def fingerprint(path: Path) -> str:
    """16 hex digits that identify a weight file: its size, its header, 16 spread 64 KiB blocks."""
    digest = hashlib.sha256(str(size := path.stat().st_size).encode())
    with path.open("rb") as file:
        for block in range(17):
            file.seek(min(block * size // 17, max(size - 65536, 0)))
            digest.update(file.read(65536))
    return digest.hexdigest()[:16]
