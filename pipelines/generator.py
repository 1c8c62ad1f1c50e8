"""Pictures from a base and any number of adapters, through the stock diffusers pipeline."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image

from adapters.base import Adapter
from adapters.bundle import BundleAdapter
from adapters.errors import StudioError
from adapters.host import Host
from adapters.identity import FAMILY_TITLES
from adapters.lora.merging import mergeable, merged
from adapters.record import AdapterRecord
from pipelines.base_models.stock import stock_pipeline
from pipelines.dataset import bucket
from pipelines.denoising import Denoising, Preview, Progress, count_steps
from pipelines.editing import LONGEST, Blend, Edit
from pipelines.free_memory import free_on
from pipelines.image_file import Safety
from pipelines.prompt_filter import flagged, flagged_unwanted
from pipelines.regions import Region, bound, prompts_of
from pipelines.request import Request
from pipelines.samplers import build_sampler, sampler_name

__all__ = ["Chosen", "Generator", "Painted", "Request", "check_family"]

_MAX_SIDE = 4096
_START_STRENGTH = 0.75  # A1111's own, where a picture is given and nothing is said


@dataclass(frozen=True)
class Painted:
    """Pictures and the settings that made them, all defaults resolved."""

    images: list[Image.Image]
    seeds: list[int]
    settings: dict[str, Any]
    safety: list[Safety]
    """What the base's checker did with each."""


@dataclass(frozen=True)
class Chosen:
    """An adapter to paint with, how strongly, how its dials stand, and a mask of where it is if not everywhere."""

    adapter: Adapter
    record: AdapterRecord
    strength: float = 1.0
    dials: Mapping[str, float | str] = field(default_factory=dict)
    region: Image.Image | None = None


class Generator:
    """Paints with one loaded base. Adapters go in for a call and come out after it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.pipeline = stock_pipeline(host)
        self._injected: list[Adapter] = []
        self._shows_a_person = False
        self._regions: list[Region] = []

    @contextlib.contextmanager
    def using(self, adapters: Sequence[Chosen]) -> Iterator[None]:
        """Inject adapters at their strengths; the base is as before when the block ends.

        Raises StudioError for an adapter of another family, and for some that cannot be used together.
        """
        for chosen in adapters:
            check_family(self.host, chosen.record)
        try:
            self._shows_a_person = any(c.record.shows_a_person for c in adapters)
            for number, chosen in enumerate(adapters):
                _inject(chosen, self.host, f"adapter_{number}")
                self._injected.append(chosen.adapter)
                chosen.adapter.set_strength(chosen.strength)
                for name, dial in chosen.adapter.dials().items():
                    chosen.adapter.set_dial(name, chosen.dials.get(name, dial.default))
                if chosen.region is not None:
                    self._regions.append(_region(chosen, chosen.region))
                if unknown := sorted(set(chosen.dials) - set(chosen.adapter.dials())):
                    chosen.adapter.set_dial(unknown[0], chosen.dials[unknown[0]])
            yield
        finally:
            self._shows_a_person = False
            self._regions.clear()
            while self._injected:
                self._injected.pop().eject()

    def paint(self, request: Request, progress: Progress | None = None, edit: Edit | None = None,
              start: Image.Image | None = None, preview: Preview | None = None) -> Painted:
        """Paint `request.images` pictures, each from its own seed, one after the other.

        The noise is the stock pipeline's with `torch.Generator('cpu').manual_seed(seed)`. With `edit` they are its
        picture, painted anew inside its mask; with `start`, that picture, painted anew by `request.strength`. Width
        and height are then those at which is painted. `request.upscale` paints each once more, enlarged, from the
        same seed. Raises StudioError for what cannot go together.
        """
        _check(request, edit, start)
        if self._shows_a_person:
            _check_words(request)
        facts = self.host.facts
        steps, guidance = request.steps or facts.steps, request.guidance or facts.guidance
        size = self._size(request, edit, start)
        strength = None
        if edit or start:
            strength = request.strength or (None if edit else _START_STRENGTH)
        words = self._words(request, guidance)
        own = self.pipeline.scheduler
        try:
            scheduler = self.pipeline.scheduler = build_sampler(own, request.sampler, request.schedule)
            options = {**words, "num_inference_steps": steps, "guidance_scale": guidance}
            denoising = Denoising(self.host, self.pipeline, options)
            shares = [strength, *([request.upscale_strength] if request.upscale else [])]
            if self.host.safety is not None:
                preview = None  # the checker judges finished pictures, and takes a second for each
            denoising.watch(progress, preview, request.images * sum(count_steps(scheduler, steps, s) for s in shares))
            blend = Blend(self.host, edit, size) if edit else None
            begun = (edit.picture if edit else start) if strength else None
            images, seeds = [], [request.seed + n for n in range(request.images)]
            with self._bound(request), self.merging():
                for seed in seeds:
                    image = denoising.paint(seed, size, strength, begun, blend)
                    if request.upscale:
                        larger = self._rounded(size[0] * request.upscale, size[1] * request.upscale)
                        image = denoising.paint(seed, larger, request.upscale_strength, image)
                    images.append(edit.kept_outside(image) if edit else image)
            checked = [self._checked(image) for image in images]
        finally:
            self.pipeline.scheduler = own
        width, height = size if request.upscale else images[0].size
        settings = {
            "prompt": request.prompt, "negative_prompt": request.negative_prompt,
            "seed": request.seed, "steps": steps, "guidance": guidance, "sampler": sampler_name(scheduler),
            "width": width, "height": height, **({"edit": True} if edit else {}),
            **({"regions": True} if self._regions else {}), **({"strength": strength} if strength else {}),
            **request.model_dump(include={"schedule"}, exclude_none=True),
            **(request.model_dump(include={"upscale", "upscale_strength"}) if request.upscale else {}),
            **({"private": True} if request.private else {}),
        }
        return Painted([image for image, _ in checked], seeds, settings, [safety for _, safety in checked])

    def merging(self) -> AbstractContextManager[None]:
        """LoRAs are in the denoiser's weights meanwhile, where there is room for these twice.

        Not beside regions, which change strengths from one to the next, nor beside kinds that read the weights.
        """
        layers = mergeable(self.host.unet)
        needed = sum(w.numel() * w.element_size() for w in layers.values())
        if self._regions or not all(map(_is_update, self._injected)) or 2 * needed > free_on(self.host.device):
            return contextlib.nullcontext()
        return merged(layers)

    def _checked(self, image: Image.Image) -> tuple[Image.Image, Safety]:
        """The picture, black where the base's safety checker withholds it (as the stock pipeline does)."""
        if self.host.safety is None:
            return image, "none"
        return (Image.new("RGB", image.size), "withheld") if self.host.safety(image) else (image, "passed")

    def _bound(self, request: Request) -> AbstractContextManager[None]:
        """Concepts that have regions stay in them meanwhile."""
        if not self._regions:
            return contextlib.nullcontext()
        with torch.no_grad():
            prompts = prompts_of(request.prompt, self._regions)
            # With the negative one, so that all are of one length.
            tokens = self.host.text.tokenize_weighted([*prompts, request.prompt, request.negative_prompt])
            texts = [self.host.text.encode(tokens[n:n + 1]) for n in range(len(prompts))]
        return bound(self.host, self._regions, texts)

    def _words(self, request: Request, guidance: float) -> dict[str, Any]:
        """Both prompts as the stock pipeline takes them."""
        text = self.host.text
        for adapter in self._injected:
            adapter.on_prompt(self.host, request.prompt, request.negative_prompt, guidance > 1)
        with torch.no_grad():
            tokens = text.tokenize_weighted([request.prompt, request.negative_prompt])
            # One by one, as the stock pipeline does: in a batch the last bits can differ.
            wanted, unwanted = (text.encode(tokens[n:n + 1]) for n in range(2))
        unwanted = text.negative(unwanted, request.negative_prompt)
        words: dict[str, Any] = {"prompt_embeds": wanted.states, "negative_prompt_embeds": unwanted.states}
        if wanted.pooled is not None:
            words |= {"pooled_prompt_embeds": wanted.pooled, "negative_pooled_prompt_embeds": unwanted.pooled}
        return words

    def _size(self, request: Request, edit: Edit | None, start: Image.Image | None) -> tuple[int, int]:
        """Width and height in pixels at which is painted first."""
        usual = edit.size(self.host) if edit else (self.host.resolution, self.host.resolution)
        if start:
            usual = bucket(start.size, self.host.resolution, self._factor, LONGEST)
        return self._rounded(request.width or usual[0], request.height or usual[1])

    @property
    def _factor(self) -> int:
        return self.host.downsampling * self.host.latent_multiple

    def _rounded(self, width: float, height: float) -> tuple[int, int]:
        return round(width / self._factor) * self._factor, round(height / self._factor) * self._factor


def _check_words(request: Request) -> None:
    """Raise StudioError where a person would be shown nude or in a sexual way."""
    if reason := flagged(request.prompt):
        raise StudioError(f"An adapter here shows a person, and '{reason[:60]}' in the prompt is refused with it; "
                          "take these words out.")
    if reason := flagged_unwanted(request.negative_prompt):
        raise StudioError(f"An adapter here shows a person, and '{reason[:60]}' in the negative prompt is refused with "
                          "it; take these words out.")


def _check(request: Request, edit: Edit | None, start: Image.Image | None) -> None:
    if request.strength and not (edit or start):
        raise StudioError("A strength says how much of a given picture is painted anew; give a picture too, or leave "
                          "the strength out.")
    if request.upscale and edit:
        raise StudioError("A picture that is painted inside a mask keeps its size; leave the second pass out.")
    if request.upscale and max(request.width or 0, request.height or 0) * request.upscale > _MAX_SIDE:
        raise StudioError(f"The second pass would be over {_MAX_SIDE} pixels a side; enlarge by less.")


def _is_update(adapter: Adapter) -> bool:
    """Whether an adapter is a LoRA, words, or both together."""
    if isinstance(adapter, BundleAdapter):
        return all(map(_is_update, adapter.parts.values()))
    return adapter.kind in ("lora", "tokens")


def _region(chosen: Chosen, mask: Image.Image) -> Region:
    if chosen.adapter.kind == "tokens":
        raise StudioError(f"'{chosen.record.name}' is a learned word, which is there where the prompt has it; a region "
                          "needs an adapter that changes the denoiser, such as a LoRA.")
    words = [c.phrase for c in chosen.record.concepts] or [chosen.record.phrase]
    return Region(chosen.adapter, chosen.strength, mask, tuple(w for w in words if w))


def _inject(chosen: Chosen, host: Host, place: str) -> None:
    """Put an adapter in at its `place`; what does not fit is told by the adapter's own name."""
    try:
        chosen.adapter.inject(host, place)
    except StudioError as error:
        raise StudioError(str(error).replace(f"'{place}'", f"'{chosen.record.name}'")) from error


def check_family(host: Host, record: AdapterRecord) -> None:
    """Raise StudioError when the adapter is of another family than the base."""
    if record.base.family != host.identity.family:
        raise StudioError(
            f"'{record.name}' was trained for {FAMILY_TITLES[record.base.family]}, the base "
            f"'{host.identity.name}' is {FAMILY_TITLES[host.identity.family]}; choose a base of "
            "that kind."
        )
