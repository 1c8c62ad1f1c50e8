"""Concepts bound to regions of a picture: each is there where its mask is white, and nowhere else.

With masks m_j (where they overlap, scaled to a sum of 1), one prediction for each region and one for what is left:

    e = sum_j m_j e_j + (1 - sum_j m_j) e_0

as MultiDiffusion fuses its regions (Bar-Tal et al., ICML 2023, arXiv 2302.08113, eq. 5). e_j is predicted with adapter
j on, the adapters of other regions off, and the prompt without their words; e_0 with all of them off and without the
words of any. An adapter without a region is on everywhere. Each region costs one more pass of the denoiser a step.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from adapters.base import Adapter
from adapters.host import Host
from adapters.text import Conditioning


@dataclass(frozen=True)
class Region:
    """An adapter at its strength, the mask of where it is, and the words that call it up."""

    adapter: Adapter
    strength: float
    mask: Image.Image
    words: tuple[str, ...] = ()


def prompt_without(prompt: str, words: Sequence[str]) -> str:
    """The prompt without these words, each with the article before it."""
    for word in sorted(words, key=len, reverse=True):
        prompt = re.sub(rf"(?:\b(?:an?|the)\s+)?{re.escape(word)}", "", prompt, flags=re.IGNORECASE)
    return prompt


def prompts_of(prompt: str, regions: Sequence[Region]) -> list[str]:
    """The prompt of what is left, then that of each region."""
    every = [r.words for r in regions]
    others = [[w for m, words in enumerate(every) if m != n for w in words if w not in every[n]]
              for n in range(len(every))]
    return [prompt_without(prompt, [w for words in every for w in words]), *(prompt_without(prompt, o) for o in others)]


@contextlib.contextmanager
def bound(host: Host, regions: Sequence[Region], texts: Sequence[Conditioning]) -> Iterator[None]:
    """Let the denoiser predict region by region; afterwards it and the adapters are as before.

    `texts` are the encoded `prompts_of`, each [1, T, D].
    """
    unet = host.unet
    plain = unet.forward
    masks = [torch.from_numpy(np.array(r.mask.convert("L")))[None, None].float() / 255 for r in regions]

    def predicted(text: Conditioning, arguments: Any, options: dict[str, Any]) -> torch.Tensor:
        states = options["encoder_hidden_states"]
        options = {**options, "encoder_hidden_states": torch.cat([states[:-1], text.states.to(states)])}
        added = options.get("added_cond_kwargs")
        if added and text.pooled is not None:
            pooled = added["text_embeds"]
            options["added_cond_kwargs"] = {**added, "text_embeds": torch.cat([pooled[:-1], text.pooled.to(pooled)])}
        found: torch.Tensor = plain(*arguments, **{**options, "return_dict": False})[0]
        return found

    def forward(*arguments: Any, **options: Any) -> tuple[torch.Tensor]:
        latents = arguments[0]
        shares = torch.cat([F.interpolate(m.to(latents), size=latents.shape[-2:], mode="area") for m in masks])
        shares = shares / shares.sum(0).clamp(min=1)
        for region in regions:
            region.adapter.set_strength(0)
        fused = (1 - shares.sum(0)) * predicted(texts[0], arguments, options)
        for region, share, text in zip(regions, shares, texts[1:], strict=True):
            region.adapter.set_strength(region.strength)
            fused = fused + share * predicted(text, arguments, options)
            region.adapter.set_strength(0)
        return (fused,)

    unet.forward = forward
    try:
        yield
    finally:
        del unet.forward
        for region in regions:
            region.adapter.set_strength(region.strength)
