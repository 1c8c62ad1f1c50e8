"""Masks: found beside pictures, checked, taken in, or made from the base's own attention."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from adapters.errors import StudioError
from adapters.host import Host
from adapters.record import Concept
from pipelines.attention import AttentionProbe
from pipelines.dataset import square
from pipelines.encode import encode_images
from pipelines.lesson import Lesson
from pipelines.references import SUFFIXES, open_image
from pipelines.wording import with_article

MASK_NAME = re.compile(r"(?:(?P<stem>.+)[-_])?mask(?:label)?[-_]?(?P<number>\d*)$", re.IGNORECASE)
_OVERLAP = 0.5  # of the smaller mask: more than this, and two masks mean the same thing


def is_mask(path: Path) -> bool:
    """Whether a file name is a mask's: 'mask0', 'cat-mask1', 'cat-masklabel'."""
    return MASK_NAME.fullmatch(path.stem) is not None


def find_masks(pictures: Sequence[Path], folder: Path | None = None) -> list[list[Path]]:
    """The mask files of each picture, by number.

    They lie beside the picture or in `folder`, as 'maskN.png' for a single picture, '<stem>-maskN.png',
    '<stem>_N.png' or OneTrainer's '<stem>-masklabel.png'.
    """
    places = {p.parent for p in pictures} if folder is None else {folder}
    if folder is not None and not folder.is_dir():
        raise StudioError(f"'{folder}' is not a folder; give the folder that holds the masks.")
    files = sorted(f for place in places for f in place.iterdir()
                   if f.suffix.lower() in SUFFIXES and f not in pictures)
    found: list[list[Path]] = []
    for picture in pictures:
        mine: list[tuple[int, Path]] = []
        for file in files:
            named = MASK_NAME.fullmatch(file.stem)
            plain = re.fullmatch(re.escape(picture.stem) + r"[-_](\d+)", file.stem) if folder else None
            if named and (named["stem"] == picture.stem or (not named["stem"] and len(pictures) == 1)):
                mine.append((int(named["number"] or 0), file))
            elif plain:
                mine.append((int(plain[1]), file))
            elif folder and file.stem == picture.stem:
                mine.append((0, file))
        found.append([f for _, f in sorted(mine)])
    return found


def open_mask(path: Path, picture: Image.Image) -> Image.Image:
    """An 8-bit mask of the picture's own size; grey values stay soft.

    Raises StudioError when it has another size or is empty. An opaque-or-clear picture (RGBA drawn on
    nothing) counts by its opacity.
    """
    mask = open_image(path).convert("L")
    with Image.open(path) as raw:  # drawn on nothing: what is opaque is the thing
        if raw.mode == "RGBA" and raw.getchannel("A").getextrema()[0] < 255:  # type: ignore[operator]
            mask = ImageOps.exif_transpose(raw).getchannel("A").copy()
    if mask.size != picture.size:
        raise StudioError(f"The mask '{path.name}' is {mask.width}x{mask.height} pixels, its picture is "
                          f"{picture.width}x{picture.height}; give a mask of the same size.")
    if mask.getextrema()[1] < 128:  # type: ignore[operator]
        raise StudioError(f"The mask '{path.name}' is empty (all black); paint the thing white in it.")
    return mask


def check_masks(masks: Sequence[Image.Image], concepts: Sequence[Concept], picture: str) -> None:
    """Raise StudioError when masks and concepts do not go together: another count, or masks that overlap."""
    if len(masks) != len(concepts):
        raise StudioError(f"'{picture}' has {len(masks)} masks for {len(concepts)} named concepts; give one mask "
                          "for each name.")
    solid = [np.asarray(m) > 127 for m in masks]
    for n, a in enumerate(solid):
        for m, b in enumerate(solid[:n]):
            share = (a & b).sum() / max(min(a.sum(), b.sum()), 1)
            if share > _OVERLAP:
                raise StudioError(f"The masks {m} and {n} of '{picture}' overlap by {share:.0%}; each pixel can "
                                  "belong to one concept, paint them apart.")


def with_background(masks: torch.Tensor) -> torch.Tensor:
    """Hard masks [V, N, h, w] and one layer more: what no other covers, so that together they cover all.

    Made on the grid and not in pixels, where rounding would leave gaps along the masks' edges.
    """
    return torch.cat([masks, 1 - masks.amax(1, keepdim=True)], 1)


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
    found = []
    for image in images:
        latents = encode_images(host, [square(image, host.resolution)])
        total = torch.zeros(1)
        for t in timesteps:
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            noisy = alphas[t].sqrt() * latents + (1 - alphas[t]).sqrt() * noise
            with probe.watching():
                host.denoise(noisy, torch.tensor([t], device=host.device), text, host.sizes((host.resolution,) * 2, 1))
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
    """The grid on which a base's words are best told apart: 16, and 32 on SDXL."""
    return 32 if host.identity.family == "sdxl" else 16


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
