"""A warm generator: keeps the last base and the adapters it has read, paints into files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from adapters.errors import StudioError
from adapters.files import sha256
from adapters.record import AdapterRecord
from adapters.studio_file import StoredAdapter, load
from pipelines.base_models.load import load_base
from pipelines.denoising import Preview, Progress
from pipelines.editing import Edit
from pipelines.generator import Chosen, Generator, Painted
from pipelines.image_file import UsedAdapter, base_told, save_png, tensors_hash
from pipelines.ingredients import source_of
from pipelines.masks import open_mask
from pipelines.references import open_image
from pipelines.request import Request

Use = tuple[Path, float] | tuple[Path, float, Mapping[str, float | str]]
"""An adapter file, its strength, and its dials where they are not as trained."""


def pick_device() -> str:
    """cuda, mps or cpu."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _opened(picture: Path, mask: Path | None) -> tuple[Edit | None, Image.Image | None]:
    """What `Generator.paint` takes as `edit` and as `start`, checked."""
    image = open_image(picture)
    return (Edit(image, open_mask(mask, image)), None) if mask else (None, image)


def _state(path: Path) -> tuple[Path, int]:
    """A file and when it was written. Raises StudioError for one that is gone, even where it is in memory still."""
    try:
        return path, path.stat().st_mtime_ns
    except FileNotFoundError as error:
        raise StudioError(f"'{path.stem}' was deleted meanwhile; choose something else to paint with.") from error


class Painter:
    """Paints requests one after the other with any base and adapters."""

    def __init__(self, device: str | None = None) -> None:
        self.device = device or pick_device()
        self._base: tuple[str, Generator] | None = None
        self._adapters: dict[tuple[Path, int], tuple[StoredAdapter, AdapterRecord]] = {}
        self._hashes: dict[tuple[Path, int], str] = {}

    def _generator(self, base: str, offline: bool) -> Generator:
        if self._base is None or self._base[0] != base:
            self._base = None  # let the old one go before the new one comes
            dtype = torch.float16 if self.device == "cuda" else torch.float32
            host = load_base(base, offline=offline, dtype=dtype).to(self.device)
            self._base = (base, Generator(host))
        return self._base[1]

    def _adapter(self, path: Path) -> tuple[StoredAdapter, AdapterRecord]:
        key = _state(path)
        if key not in self._adapters:
            self._adapters[key] = load(path)
        return self._adapters[key]

    def paint(self, base: str, adapters: Sequence[Use], request: Request, *, offline: bool = False,
              progress: Progress | None = None, edit: Edit | None = None, start: Image.Image | None = None,
              preview: Preview | None = None, regions: Mapping[Path, Path] | None = None) -> Painted:
        """Paint `request` with the adapter files at their strengths (see `Generator.paint`).

        `regions` are the masks of adapter files that are bound to one.
        """
        generator = self._generator(base, offline)
        masks = {path: open_image(mask) for path, mask in (regions or {}).items()}
        chosen = [Chosen(*self._adapter(path), strength, dict(*dials), masks.get(path))
                  for path, strength, *dials in adapters]
        with generator.using(chosen):
            return generator.paint(request, progress, edit, start, preview)

    def paint_files(self, base: str, adapters: Sequence[Use], request: Request, files: Sequence[Path], *,
                    offline: bool = False, progress: Progress | None = None,
                    edit: tuple[Path, Path | None] | None = None, preview: Preview | None = None,
                    regions: Mapping[Path, Path] | None = None) -> dict[str, Any]:
        """`paint`, each picture into its file with its settings inside; returns the settings.

        `edit` are a picture's file, painted anew by `request.strength`, and its mask's, where only inside a mask.
        """
        inside, start = _opened(*edit) if edit else (None, None)
        source = {"source": source_of(edit[0]).told()} if edit else {}
        made_with = self.made_with(adapters)  # before: a file may be deleted while it is painted with
        painted = self.paint(base, adapters, request, offline=offline, progress=progress, edit=inside, start=start,
                             preview=preview, regions=regions)
        for image, settings, file in zip(painted.images, self.told(base, painted, offline=offline), files, strict=True):
            save_png(image, file, {**settings, **source}, made_with)
        return painted.settings

    def checked(self, base: str, offline: bool) -> bool:
        """Whether a base brings a safety checker, so that no picture of it is shown before it is finished."""
        return self._generator(base, offline).host.safety is not None

    def told(self, base: str, painted: Painted, *, offline: bool = False) -> list[dict[str, Any]]:
        """What the file of each picture says of its settings and its base."""
        model = base_told(base, self._generator(base, offline).host.identity.hash)
        if Path(base).is_file():
            model["model_hash"] = self._hash(Path(base), lambda p: sha256(p)[:10])
        return [{**painted.settings, "seed": seed, "safety": safety, **model}
                for seed, safety in zip(painted.seeds, painted.safety, strict=True)]

    def made_with(self, adapters: Sequence[Use]) -> list[UsedAdapter]:
        """What the files of pictures say of the adapters that they were painted with."""
        found = []
        for path, strength, *others in adapters:
            dials: dict[str, float | str] = dict(*others)
            found.append(UsedAdapter(path.stem, strength, {n: str(v) for n, v in dials.items()},
                                     self._hash(path, tensors_hash)))
        return found

    def _hash(self, path: Path, make: Callable[[Path], str]) -> str:
        """`make(path)`, once for each state of the file."""
        key = _state(path)
        if key not in self._hashes:
            self._hashes[key] = make(path)
        return self._hashes[key]
