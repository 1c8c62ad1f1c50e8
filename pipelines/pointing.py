"""A mask of what a person points at: clicks on the thing and beside it, a box around it, or a word for it.

Clicks and boxes are answered by SAM and words by CLIPSeg where their weights are here; else GrabCut cuts along colours,
for words from where the base looks. Which one it was is said with every mask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from huggingface_hub import try_to_load_from_cache
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from transformers import SamModel

from adapters.errors import StudioError
from adapters.host import Host
from pipelines.mask_sources import clipseg, grabcut, sam
from pipelines.mask_sources.weights import open_weights

Share = Annotated[float, Field(ge=0, le=1)]
# Of the shorter side around a click: what it surely says, what is likely the thing, and beyond what it surely is not.
# Chosen on assets/samples/development.
_SURE, _NEAR, _FAR = 0.03, 0.12, 0.3


class Pointed(BaseModel):
    """What a person pointed at, all places as shares 0-1 of the picture's width and height."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    box: tuple[Share, Share, Share, Share] | None = None
    """Left, top, right, bottom."""
    clicks: Annotated[tuple[tuple[Share, Share, bool], ...], Field(max_length=100)] = ()
    """x, y, and whether the thing is there (or surely not)."""
    word: Annotated[str, Field(max_length=100)] = ""
    """A noun for it; counts where there is neither box nor click."""

    @model_validator(mode="after")
    def _something(self) -> Pointed:
        if self.box and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("a box goes from left to right and from top to bottom")
        if not self.box and not any(on for _, _, on in self.clicks) and not self.word.strip():
            raise ValueError("point at something: a box, a click on the thing, or a word for it")
        return self

    @classmethod
    def of(cls, told: Any) -> Pointed:
        """From plain data. Raises StudioError when it is none."""
        try:
            return cls.model_validate(told)
        except ValidationError as error:
            said = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise StudioError(f"What was pointed at cannot be used ({said}); point again.") from error


class Finder:
    """Finds masks; what it has opened once stays open. `host` gives the base when a word has to be looked for."""

    def __init__(self, host: Callable[[], Host], *, sam_model: str = "", clipseg_model: str = "") -> None:
        self.host, self.sam_model, self.clipseg_model = host, sam_model, clipseg_model
        self._open: dict[str, Any] = {}

    def find(self, image: Image.Image, pointed: Pointed) -> tuple[Image.Image, str]:
        """An 8-bit mask of the RGB image's size, and what found it. Raises StudioError when nothing is found."""
        mask, how = self._pointed(image, pointed) if pointed.box or pointed.clicks else self._named(image, pointed.word)
        if max(mask.tobytes()) < 128:
            raise StudioError(f"{how} found nothing there; point at another place, or paint it by hand.")
        return mask, how

    def _pointed(self, image: Image.Image, pointed: Pointed) -> tuple[Image.Image, str]:
        size = image.size
        box = tuple(v * size[n % 2] for n, v in enumerate(pointed.box)) if pointed.box else None
        clicks = [(x * size[0], y * size[1], on) for x, y, on in pointed.clicks]
        if _here(self.sam_model, sam.DEFAULT):
            if "sam" not in self._open:
                self._open["sam"] = open_weights(SamModel, self.sam_model, sam.DEFAULT)
            return sam.segment(self._open["sam"], image, box, clicks), "SAM"
        return cut(image, pointed), "GrabCut"

    def _named(self, image: Image.Image, word: str) -> tuple[Image.Image, str]:
        name, how = ("clipseg", "CLIPSeg") if _here(self.clipseg_model, clipseg.DEFAULT) else (
            "grabcut", "GrabCut, begun where the base looks,")
        if name not in self._open:
            kind = clipseg.Source if name == "clipseg" else grabcut.Source
            self._open[name] = kind(self.host(), self.clipseg_model)
        found: Image.Image = self._open[name].masks([image], word.strip())[0]
        return found, how


def _here(named: str, default: str) -> bool:
    return bool(named) or isinstance(try_to_load_from_cache(default, "model.safetensors"), str)


def cut(image: Image.Image, pointed: Pointed) -> Image.Image:
    """GrabCut from a box and clicks: outside the box is surely not the thing, at a click it is or is not.

    Of what is found without a box only what hangs together with a click on the thing is kept.
    """
    cv2 = grabcut.opencv()
    width, height = grabcut.size_for(image)
    seeds, side = np.full((height, width), cv2.GC_BGD, np.uint8), min(width, height)
    places = [(x * width, y * height, on) for x, y, on in pointed.clicks]
    if pointed.box:
        left, top, right, bottom = (round(v * (width, height)[n % 2]) for n, v in enumerate(pointed.box))
        seeds[top:max(bottom, top + 1), left:max(right, left + 1)] = cv2.GC_PR_FGD
    else:
        for radius, says in ((_FAR, cv2.GC_PR_BGD), (_NEAR, cv2.GC_PR_FGD)):
            for x, y in ((x, y) for x, y, on in places if on):
                seeds[_disc(seeds.shape, x, y, radius * side)] = says
    for x, y, on in places:
        seeds[_disc(seeds.shape, x, y, max(_SURE * side, 1))] = cv2.GC_FGD if on else cv2.GC_BGD
    found = grabcut.grab(cv2, image, seeds)
    if not pointed.box:
        _, parts = cv2.connectedComponents(found.astype(np.uint8))
        kept = {int(parts[min(int(y), height - 1), min(int(x), width - 1)]) for x, y, on in places if on}
        found = np.isin(parts, sorted(kept - {0}))
    return grabcut.as_mask(found, image.size)


def _disc(shape: tuple[int, ...], x: float, y: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[:shape[0], :shape[1]]
    inside: NDArray[np.bool_] = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius ** 2
    return inside
