"""Pictures from a base and any number of adapters, through the stock diffusers pipeline."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from adapters.base import Adapter
from adapters.errors import StudioError
from adapters.host import Host
from adapters.identity import FAMILY_TITLES
from adapters.record import AdapterRecord
from pipelines.base_models.stock import stock_pipeline
from pipelines.editing import Blend, Edit, Keep


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


@dataclass(frozen=True)
class Chosen:
    """An adapter to paint with, how strongly, and how its dials stand."""

    adapter: Adapter
    record: AdapterRecord
    strength: float = 1.0
    dials: Mapping[str, float | str] = field(default_factory=dict)


class Generator:
    """Paints with one loaded base. Adapters go in for a call and come out after it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.pipeline = stock_pipeline(host)
        self._injected: list[Adapter] = []

    @contextlib.contextmanager
    def using(self, adapters: Sequence[Chosen]) -> Iterator[None]:
        """Inject adapters at their strengths; the base is as before when the block ends.

        Raises StudioError for an adapter of another family, and for some that cannot be used together.
        """
        for chosen in adapters:
            check_family(self.host, chosen.record)
        try:
            for number, chosen in enumerate(adapters):
                chosen.adapter.inject(self.host, f"adapter_{number}")
                self._injected.append(chosen.adapter)
                chosen.adapter.set_strength(chosen.strength)
                for name, dial in chosen.adapter.dials().items():
                    chosen.adapter.set_dial(name, chosen.dials.get(name, dial.default))
                if unknown := sorted(set(chosen.dials) - set(chosen.adapter.dials())):
                    chosen.adapter.set_dial(unknown[0], chosen.dials[unknown[0]])
            yield
        finally:
            while self._injected:
                self._injected.pop().eject()

    def paint(self, request: Request, progress: Progress | None = None, edit: Edit | None = None) -> Painted:
        """Paint `request.images` pictures, each from its own seed, one after the other.

        The noise is the stock pipeline's with `torch.Generator('cpu').manual_seed(seed)`.
        `progress(done, total)` is called after each denoising step and may raise to cancel.
        With `edit` they are its picture, painted anew inside its mask; `request.width` and `height` are then
        those at which is painted.
        """
        facts = self.host.facts
        steps, guidance = request.steps or facts.steps, request.guidance or facts.guidance
        usual = edit.size(self.host) if edit else (self.host.resolution, self.host.resolution)
        factor = self.host.downsampling * self.host.latent_multiple
        width, height = (round((asked or own) / factor) * factor
                         for asked, own in zip((request.width, request.height), usual, strict=True))
        blend = Blend(self.host, edit, (width, height)) if edit else None
        for adapter in self._injected:
            adapter.on_prompt(self.host, request.prompt, request.negative_prompt, guidance > 1)
        with torch.no_grad():
            tokens = self.host.text.tokenize_weighted([request.prompt, request.negative_prompt])
            # One by one, as the stock pipeline does: in a batch the last bits can differ.
            wanted, unwanted = (self.host.text.encode(tokens[n:n + 1]) for n in range(2))
        unwanted = self.host.text.negative(unwanted, request.negative_prompt)
        words: dict[str, Any] = {"prompt_embeds": wanted.states, "negative_prompt_embeds": unwanted.states}
        if wanted.pooled is not None:
            words |= {"pooled_prompt_embeds": wanted.pooled, "negative_pooled_prompt_embeds": unwanted.pooled}
        images, seeds = [], [request.seed + n for n in range(request.images)]
        for number, seed in enumerate(seeds):
            keep = blend.keeping(self.pipeline.scheduler, seed, wanted.states.dtype) if blend else None

            def on_step(_pipe: Any, step: int, _t: Any, values: dict[str, Any],
                        number: int = number, keep: Keep | None = keep) -> dict[str, Any]:
                if progress:
                    progress(number * steps + step + 1, steps * len(seeds))
                return {"latents": keep(step, values["latents"])} if keep else values

            result = self.pipeline(
                **words, num_inference_steps=steps, guidance_scale=guidance, width=width, height=height,
                generator=torch.Generator("cpu").manual_seed(seed), callback_on_step_end=on_step,
                output_type="latent",
            )
            # Decoded here, so that the autoencoder keeps its own precision.
            images += self.pipeline.image_processor.postprocess(self.host.decode(result.images), output_type="pil")
        if edit:
            images, (width, height) = [edit.kept_outside(i) for i in images], edit.picture.size
        settings = {
            "prompt": request.prompt, "negative_prompt": request.negative_prompt,
            "seed": request.seed, "steps": steps, "guidance": guidance,
            "sampler": type(self.host.scheduler).__name__.removesuffix("Scheduler"),
            "width": width, "height": height, **({"edit": True} if edit else {}),
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
