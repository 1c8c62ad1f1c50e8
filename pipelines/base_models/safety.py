"""The safety checker of a base that comes with one: CompVis' CLIP classifier, as diffusers keeps it beside SD 1.x."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from safetensors import SafetensorError
from transformers import CLIPImageProcessorPil

from adapters.errors import StudioError

FOLDER, PROCESSOR = "safety_checker", "feature_extractor"


class SafetyChecker:
    """Tells which pictures the base's makers wish to withhold; read when it is first asked, on the CPU in fp32.

    There it takes no graphics memory, which small cards do not have; a picture takes it about a second.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: tuple[Any, Any] | None = None

    def __call__(self, image: Image.Image) -> bool:
        """Whether this picture is to be withheld. Raises StudioError when the checker cannot be read."""
        processor, model = self._read()
        pixels = processor([image.convert("RGB")], return_tensors="pt").pixel_values
        with torch.no_grad():
            _, found = model(images=torch.zeros(1, 1, 1, 3), clip_input=pixels)
        return bool(found[0])

    def _read(self) -> tuple[Any, Any]:
        if self._parts is None:
            try:
                self._parts = (
                    CLIPImageProcessorPil.from_pretrained(self._folder / PROCESSOR, local_files_only=True),
                    StableDiffusionSafetyChecker.from_pretrained(
                        self._folder / FOLDER, use_safetensors=True, local_files_only=True).eval())
            except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
                raise StudioError(f"The safety checker in '{self._folder.name}' cannot be read "
                                  f"({type(error).__name__}); fetch the base again, or take that folder out of it."
                                  ) from error
        return self._parts


def safety_checker(folder: Path, base: str) -> SafetyChecker | None:
    """That of a base in diffusers' folders, None where it has none. `base` is what the base is called.

    Raises StudioError for one that is not whole or no safetensors: a pickle is never opened, and a base that brings a
    checker never paints without it.
    """
    if not (folder / FOLDER).is_dir():
        return None
    if not any((folder / FOLDER).glob("*.safetensors")):
        found = ", ".join(sorted(p.name for p in (folder / FOLDER).iterdir())) or "nothing"
        raise StudioError(f"The safety checker of the base '{base}' should be there as .safetensors, but its folder "
                          f"'{FOLDER}' holds {found[:120]}; convert its weights to safetensors (a .bin file is a "
                          "pickle, which can carry programs and is not opened), or take that folder out of the base.")
    if not (folder / PROCESSOR).is_dir():
        raise StudioError(f"The safety checker of the base '{base}' needs the folder '{PROCESSOR}', which is not "
                          f"there; fetch the base again, or take the folder '{FOLDER}' out of it.")
    return SafetyChecker(folder)
