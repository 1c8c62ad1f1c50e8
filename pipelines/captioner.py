"""Captions by a vision-language model whose weights a person has: BLIP or Florence-2, told apart by their config."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from PIL import Image
from transformers import AutoTokenizer, BlipForConditionalGeneration, Florence2ForConditionalGeneration

from adapters.errors import StudioError
from pipelines.base_models.listed import check_listed
from pipelines.captioners import here
from pipelines.helpers import BLIP, FLORENCE
from pipelines.mask_sources.pixels import normalised
from pipelines.mask_sources.weights import open_weights

_WORDS = 60  # tokens at most
_CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # mean, deviation; BLIP's too
_FLORENCE_SIDE, _ASKED = 768, "What does the image describe?"  # its task "<CAPTION>", spelled out


class Captioner:
    """`name` stands beside what it writes."""

    def __init__(self, place: str = "") -> None:
        """`place` is a folder or hub id of BLIP or Florence-2; empty: the one whose weights are here.

        Raises StudioError when there is none.
        """
        if place not in ("", BLIP, FLORENCE):
            check_listed(place)  # before its configuration is looked at
        self.name = place or _found()
        kind = _kind(self.name)
        wanted: Any = BlipForConditionalGeneration if kind == "blip" else Florence2ForConditionalGeneration
        self.model: Any = open_weights(wanted, self.name, BLIP if kind == "blip" else FLORENCE)
        try:
            self.tokens: Any = AutoTokenizer.from_pretrained(self.name, local_files_only=True)
        except (OSError, ValueError) as error:
            raise StudioError(f"'{self.name}' has no tokenizer beside its weights; fetch all of it.") from error
        self._write = self._blip if kind == "blip" else self._florence

    @torch.no_grad()
    def captions(self, images: Sequence[Image.Image]) -> list[str]:
        """One line for each RGB image."""
        return [" ".join(self._write(image).split()) for image in images]

    def _blip(self, image: Image.Image) -> str:
        side = int(self.model.config.vision_config.image_size)
        pixels = normalised(image.resize((side, side), Image.Resampling.BICUBIC), *_CLIP)
        said = self.model.generate(pixel_values=pixels.to(self.model.device), max_new_tokens=_WORDS, num_beams=3)
        text: str = self.tokens.decode(said[0], skip_special_tokens=True)
        return text

    def _florence(self, image: Image.Image) -> str:
        pixels = normalised(image.resize((_FLORENCE_SIDE, _FLORENCE_SIDE), Image.Resampling.BICUBIC)).to(
            self.model.device)
        places = self.model.get_image_features(pixels).pooler_output.shape[1]
        asked = self.tokens(_ASKED, return_tensors="pt").input_ids
        ids = torch.cat([torch.full((1, places), self.model.config.image_token_id), asked], 1).to(self.model.device)
        said = self.model.generate(input_ids=ids, pixel_values=pixels, max_new_tokens=_WORDS, num_beams=3)
        text: str = self.tokens.decode(said[0], skip_special_tokens=True)
        return text


def _found() -> str:
    if found := here():
        return found[0]
    raise StudioError(f"Captions need the weights of a captioner, and none are here; type captions by hand, or "
                      f"fetch '{BLIP}' or '{FLORENCE}' from the hub (under System, or by 'hf download').")


def _kind(place: str) -> str:
    folder = Path(place) / "config.json"
    path = str(folder) if folder.is_file() else try_to_load_from_cache(place, "config.json")
    try:
        said = json.loads(Path(str(path)).read_text("utf-8"))["model_type"] if isinstance(path, str) else ""
    except (OSError, ValueError, KeyError, TypeError):
        said = ""
    if said not in ("blip", "florence2"):
        raise StudioError(f"'{place}' should be BLIP or Florence-2 as transformers keeps them, but it is "
                          f"{said or 'not here'}; fetch '{BLIP}' or '{FLORENCE}' from the hub (under "
                          "System, or by 'hf download').")
    return str(said)
