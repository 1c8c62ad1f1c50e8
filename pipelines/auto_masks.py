"""Masks from the base's own attention, for pictures that come without."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from adapters.host import Framing, Host
from pipelines.attention import AttentionProbe
from pipelines.dataset import square
from pipelines.encode import encode_images
from pipelines.lesson import Lesson
from pipelines.wording import with_article


@torch.no_grad()
def attention_masks(host: Host, images: Sequence[Image.Image], noun: str, *,
                    timesteps: Sequence[int] = (300, 500, 700), seed: int = 0) -> list[Image.Image]:
    """Soft masks of each image: where the base looks for `noun`, divided by its maximum.

    The picture is noised to each of `timesteps` (of 1000) and the cross-attention at the noun's last
    token is averaged. Needs nothing but the base itself.
    """
    probe = AttentionProbe(host, attention_resolution(host))
    tokens = host.text.tokenize([f"a photo of {with_article(noun)}"])
    columns = torch.zeros(1, 1, tokens.ids.shape[1], dtype=torch.bool, device=tokens.ids.device)
    columns[0, 0, host.text.last_of(tokens, noun)] = True
    text = host.text.encode(tokens)
    alphas = host.scheduler.alphas_cumprod.to(host.device)
    generator = torch.Generator().manual_seed(seed)
    sizes = host.sizes([Framing.whole((host.resolution, host.resolution))])
    found = []
    for image in images:
        latents = encode_images(host, [square(image, host.resolution)])
        total = torch.zeros(1)
        for t in timesteps:
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            noisy = alphas[t].sqrt() * latents + (1 - alphas[t]).sqrt() * noise
            with probe.watching():
                host.denoise(noisy, torch.tensor([t], device=host.device), text, sizes)
            total = total + probe.maps(columns)[0, 0].cpu()
        total = total - total.min()
        small = Image.fromarray((total / total.max().clamp(min=1e-9) * 255).byte().numpy())
        side = min(image.size)
        mask = Image.new("L", image.size, 0)
        mask.paste(small.resize((side, side), Image.Resampling.BICUBIC),
                   ((image.width - side) // 2, (image.height - side) // 2))
        found.append(mask)
    return found


def attention_resolution(host: Host) -> int:
    """The grid on which a base's words are best told apart."""
    return host.facts.attention


def fill_in(host: Host, lesson: Lesson, wanted: str) -> Lesson:
    """The lesson with the masks that the settings ask for: 'none', 'given', or 'auto' where none are given."""
    if wanted == "none":
        return lesson.with_masks([() for _ in lesson.pictures])
    if wanted == "given" or all(p.masks for p in lesson.pictures):
        return lesson
    lesson.report({"type": "stage", "text": "Finding the subject in the pictures"})
    noun = lesson.concepts[0].noun
    made = attention_masks(host, [p.image for p in lesson.pictures], noun)
    return lesson.with_masks([p.masks or (m,) for p, m in zip(lesson.pictures, made, strict=True)])
