"""CLIPSeg (Lüddecke and Ecker, CVPR 2022, arXiv 2112.10003): masks from a text prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from transformers import CLIPSegForImageSegmentation

from adapters.host import Host
from pipelines.base_models.clip_vocabulary import clip_tokenizer
from pipelines.helpers import CLIPSEG
from pipelines.mask_sources.pixels import from_unit, normalised
from pipelines.mask_sources.weights import open_weights
from pipelines.wording import with_article

DEFAULT = CLIPSEG
_SIDE = 352  # pixels a side, as it was trained; the position embeddings are interpolated


class Source:
    """Soft masks: the probability that a pixel belongs to the noun, divided by its maximum."""

    def __init__(self, host: Host, model: str = "") -> None:
        self.model = open_weights(CLIPSegForImageSegmentation, model, DEFAULT).to(host.device)
        self.tokenizer = clip_tokenizer()

    @torch.no_grad()
    def masks(self, images: Sequence[Image.Image], noun: str) -> list[Image.Image]:
        """A soft mask of each image's size."""
        words = self.tokenizer([f"a photo of {with_article(noun)}"], return_tensors="pt").to(self.model.device)
        found = []
        for image in images:
            pixels = normalised(image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)).to(self.model.device)
            logits = self.model(input_ids=words.input_ids, attention_mask=words.attention_mask,
                                pixel_values=pixels).logits
            share = logits.float().view(1, 1, *logits.shape[-2:]).sigmoid()
            share = F.interpolate(share, image.size[::-1], mode="bilinear", align_corners=False)[0, 0]
            found.append(from_unit(share / share.max().clamp(min=1e-9)))
        return found
