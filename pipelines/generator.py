"""Pictures from a base and any number of adapters, through the stock diffusers pipeline."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from adapters.base import Adapter
from adapters.errors import StudioError
from adapters.host import Host
from adapters.identity import FAMILY_TITLES
from adapters.record import AdapterRecord

_DEFAULTS = {"starter": (20, 4.0), "sd1": (30, 7.5)}


class Request(BaseModel):
    """What to paint."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    prompt: str = Field(max_length=4000)
    """What to show."""
    negative_prompt: str = Field("", max_length=4000)
    """What to keep away from."""
    seed: int = Field(0, ge=0, lt=2**53)
    """Where chance starts; picture n of a batch has seed + n."""
    steps: int | None = Field(None, ge=1, le=500)
    """Denoising steps; none takes the base's default."""
    guidance: float | None = Field(None, ge=1, le=50)
    """How strongly the prompt pulls (classifier-free guidance); 1 is not at all."""
    images: int = Field(1, ge=1, le=64)
    """How many pictures."""
    width: int | None = Field(None, ge=64, le=4096)
    """Pixels; none takes the base's size."""
    height: int | None = Field(None, ge=64, le=4096)
    """Pixels; none takes the base's size."""


@dataclass(frozen=True)
class Painted:
    """Pictures and the settings that made them, all defaults resolved."""

    images: list[Image.Image]
    seeds: list[int]
    settings: dict[str, Any]


Progress = Callable[[int, int], None]


class Generator:
    """Paints with one loaded base. Adapters go in for a call and come out after it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.pipeline = StableDiffusionPipeline(
            vae=host.vae, text_encoder=host.text_encoder, tokenizer=host.tokenizer, unet=host.unet,
            scheduler=type(host.scheduler).from_config(host.scheduler.config),
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )
        self.pipeline.set_progress_bar_config(disable=True)

    @contextlib.contextmanager
    def using(self, adapters: Sequence[tuple[Adapter, AdapterRecord, float]]) -> Iterator[None]:
        """Inject adapters at their strengths; the base is as before when the block ends.

        Raises StudioError for an adapter of another family.
        """
        for _, record, _ in adapters:
            check_family(self.host, record)
        injected: list[Adapter] = []
        try:
            for number, (adapter, _, strength) in enumerate(adapters):
                adapter.inject(self.host, f"adapter_{number}")
                injected.append(adapter)
                adapter.set_strength(strength)
            yield
        finally:
            for adapter in reversed(injected):
                adapter.eject()

    def paint(self, request: Request, progress: Progress | None = None) -> Painted:
        """Paint `request.images` pictures, each from its own seed, one after the other.

        The noise is the stock pipeline's with `torch.Generator('cpu').manual_seed(seed)`.
        `progress(done, total)` is called after each denoising step and may raise to cancel.
        """
        steps, guidance = _DEFAULTS[self.host.identity.family]
        steps, guidance = request.steps or steps, request.guidance or guidance
        side, factor = self.host.resolution, self.host.downsampling * 4
        width, height = (round((n or side) / factor) * factor for n in (request.width, request.height))
        images, seeds = [], [request.seed + n for n in range(request.images)]
        for number, seed in enumerate(seeds):
            def on_step(_pipe: Any, step: int, _t: Any, values: dict[str, Any],
                        number: int = number) -> dict[str, Any]:
                if progress:
                    progress(number * steps + step + 1, steps * len(seeds))
                return values

            result = self.pipeline(
                prompt=request.prompt, negative_prompt=request.negative_prompt or None,
                num_inference_steps=steps, guidance_scale=guidance, width=width, height=height,
                generator=torch.Generator("cpu").manual_seed(seed), callback_on_step_end=on_step,
            )
            images.append(result.images[0])
        settings = {
            "prompt": request.prompt, "negative_prompt": request.negative_prompt,
            "seed": request.seed, "steps": steps, "guidance": guidance,
            "sampler": type(self.host.scheduler).__name__.removesuffix("Scheduler"),
            "width": width, "height": height,
        }
        return Painted(images, seeds, settings)


def check_family(host: Host, record: AdapterRecord) -> None:
    """Raise StudioError when the adapter is of another family than the base."""
    if record.base.family != host.identity.family:
        raise StudioError(
            f"'{record.name}' was trained for {FAMILY_TITLES[record.base.family]}, the base "
            f"'{host.identity.name}' is {FAMILY_TITLES[host.identity.family]}; choose a base of "
            "that kind."
        )
