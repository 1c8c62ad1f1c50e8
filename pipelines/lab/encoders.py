"""What looks at pictures: named encoders that put pictures, and some of them words, on the unit sphere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
import torch.nn.functional as F
from PIL import Image

from adapters.errors import StudioError
from pipelines.helpers import CLIP, DINO
from pipelines.shipped import JUDGES, STARTER
from pipelines.starter.judge import load_embedder, prepare

CLIP_ID, DINO_ID = CLIP, DINO
BATCH = 16
Parts = TypeVar("Parts")


@runtime_checkable
class Encoder(Protocol):
    """`name` stands beside every number that comes from it."""

    name: str

    def images(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """[N, D], rows of length 1."""
        ...


@runtime_checkable
class TextEncoder(Encoder, Protocol):
    """One that reads words too."""

    def texts(self, prompts: Sequence[str]) -> torch.Tensor:
        """[N, D], rows of length 1, comparable with `images`."""
        ...


def _in_batches(pictures: Sequence[Image.Image], run: Callable[[list[Image.Image]], torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        rows = [run([p.convert("RGB") for p in pictures[n:n + BATCH]]) for n in range(0, len(pictures), BATCH)]
    return F.normalize(torch.cat(rows).float(), dim=-1)


class Clip:
    """A CLIPModel of any size from a folder or hub id: CLIP-I and CLIP-T, or the starter's own pair."""

    def __init__(self, place: str | Path, name: str, *, tokenizer: str | Path | None = None,
                 offline: bool = True) -> None:
        """`tokenizer` lies elsewhere when it is not with the model. Raises StudioError when one cannot be read."""
        from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

        def read(here: bool) -> tuple[Any, Any, Any]:
            return (CLIPModel.from_pretrained(place, local_files_only=here).float().eval(),
                    CLIPImageProcessorPil.from_pretrained(place, local_files_only=here),
                    CLIPTokenizer.from_pretrained(tokenizer or place, local_files_only=here))

        self.name = name
        self.model, self.processor, self.tokens = _opened(read, place, "a CLIP model", offline)

    def images(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """[N, D], rows of length 1."""
        def run(part: list[Image.Image]) -> torch.Tensor:
            pixels = self.processor(part, return_tensors="pt")["pixel_values"]
            seen: torch.Tensor = self.model.visual_projection(self.model.vision_model(pixels).pooler_output)
            return seen

        return _in_batches(pictures, run)

    @torch.no_grad()
    def texts(self, prompts: Sequence[str]) -> torch.Tensor:
        """[N, D], rows of length 1; what is longer than the text tower reads is cut."""
        length = self.model.config.text_config.max_position_embeddings
        ids = self.tokens(list(prompts), padding="max_length", truncation=True, max_length=length,
                          return_tensors="pt").input_ids
        said = self.model.text_projection(self.model.text_model(ids).pooler_output)
        return F.normalize(said.float(), dim=-1)


class Dino:
    """A self-supervised vision transformer's class token (Caron et al., arXiv 2104.14294)."""

    def __init__(self, place: str | Path, name: str, *, offline: bool = True) -> None:
        """Raises StudioError when it cannot be read."""
        from transformers import AutoImageProcessor, AutoModel

        def read(here: bool) -> tuple[Any, Any]:
            return (AutoModel.from_pretrained(place, local_files_only=here).float().eval(),
                    AutoImageProcessor.from_pretrained(place, local_files_only=here))

        self.name = name
        self.model, self.processor = _opened(read, place, "a DINO model", offline)

    def images(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """[N, D], rows of length 1."""
        return _in_batches(pictures, lambda part: self.model(
            **self.processor(part, return_tensors="pt")).last_hidden_state[:, 0])


class Judge:
    """The likeness network that was trained apart from the starter, for figures in reports."""

    name = "semblance likeness judge (starter's world)"

    def __init__(self, folder: Path = JUDGES) -> None:
        self.model = load_embedder(folder)

    def images(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """[N, D], rows of length 1."""
        return _in_batches(pictures, lambda part: self.model(prepare(part)))


def starter_pair(pipeline: Path = STARTER / "pipeline") -> Clip:
    """The starter's own text-image pair: live scores where no CLIP weights are there."""
    return Clip(pipeline / "clip", "semblance starter pair", tokenizer=pipeline / "tokenizer")


def _opened(read: Callable[[bool], Parts], place: str | Path, what: str, offline: bool) -> Parts:
    """What `read(here)` gives: from this machine alone where it is here, else from the hub, but not `offline`."""
    try:
        try:
            return read(True)
        except (OSError, ValueError):
            if offline or Path(place).exists():
                raise
            return read(False)
    except (OSError, ValueError) as error:
        raise StudioError(_unreadable(place, what, error)) from error


def _unreadable(place: str | Path, what: str, error: Exception) -> str:
    said = (str(error).splitlines() or [""])[0][:120]
    return f"'{place}' should be {what}, but it could not be read ({said}); give a folder, or download it first."
