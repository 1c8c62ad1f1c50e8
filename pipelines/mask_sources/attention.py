"""Where the base itself looks for a word: masks that need nothing but the base."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from adapters.host import Framing, Host
from adapters.text import Tokens
from pipelines.attention import AttentionProbe
from pipelines.dataset import square
from pipelines.encode import encode_images
from pipelines.wording import with_article


class Source:
    """Soft masks: the cross-attention at the noun, divided by its maximum."""

    def __init__(self, host: Host, model: str = "") -> None:
        self.host = host

    def masks(self, images: Sequence[Image.Image], noun: str) -> list[Image.Image]:
        """A mask of each image's size. Of oblong pictures the middle square is looked at."""
        return attention_masks(self.host, images, noun)


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
    generator = torch.Generator().manual_seed(seed)
    found = []
    for image in images:
        latents = encode_images(host, [square(image, host.resolution)])
        total = attention_seen(host, probe, latents, tokens, columns, timesteps=timesteps, generator=generator)[0, 0]
        total = total - total.min()
        small = Image.fromarray((total / total.max().clamp(min=1e-9) * 255).byte().numpy())
        side = min(image.size)
        mask = Image.new("L", image.size, 0)
        mask.paste(small.resize((side, side), Image.Resampling.BICUBIC),
                   ((image.width - side) // 2, (image.height - side) // 2))
        found.append(mask)
    return found


@torch.no_grad()
def attention_seen(host: Host, probe: AttentionProbe, latents: torch.Tensor, tokens: Tokens, columns: torch.Tensor, *,
                   timesteps: Sequence[int] = (300, 500, 700), generator: torch.Generator | None = None
                   ) -> torch.Tensor:
    """The probe's maps at `columns` [B, N, T], summed over `timesteps` (of 1000) to which `latents` are noised: [B, N,
    R, R] on the CPU. Without a generator the noise is that of seed 0."""
    generator = generator or torch.Generator().manual_seed(0)
    text, alphas = host.text.encode(tokens), host.scheduler.alphas_cumprod.to(host.device)
    sizes = host.sizes([Framing.whole((host.resolution, host.resolution))] * len(latents))
    total = torch.zeros(1)
    for t in timesteps:
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        noisy = alphas[t].sqrt() * latents + (1 - alphas[t]).sqrt() * noise
        with probe.watching():
            host.denoise(noisy, torch.tensor([t] * len(latents), device=host.device), text, sizes)
        total = total + probe.maps(columns).cpu()
    return total


def attention_resolution(host: Host) -> int:
    """The grid on which a base's words are best told apart."""
    return host.facts.attention
