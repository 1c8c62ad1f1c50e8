"""From noise, or from a picture, to a picture: the stock pipeline step by step, with what is told meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image

from adapters.errors import StudioError
from adapters.host import Host
from pipelines.base_models.stock import latents_pipeline
from pipelines.editing import Blend
from pipelines.encode import encode_images

_PREVIEW_EVERY = 0.7  # seconds
_PREVIEW_SIDE = 32  # of the latents that are decoded for it
Progress = Callable[[int, int], None]
"""Called with steps done and steps in all, after each one; may raise to cancel."""
Preview = Callable[[Image.Image], None]
"""Called now and then with the picture as far as it has come, small; never where the base has a safety checker."""


class NotFinite(StudioError):
    """A picture that would be black, since its numbers are none."""


class Denoising:
    """The pictures of one request: same words, sampler and steps."""

    def __init__(self, host: Host, pipeline: Any, options: dict[str, Any]) -> None:
        self.host, self.pipeline, self.options = host, pipeline, options
        self.scheduler = pipeline.scheduler
        self.progress: Progress | None = None
        self.preview: Preview | None = None
        self.done = self.total = 0
        self._shown = time.monotonic()

    def watch(self, progress: Progress | None, preview: Preview | None, total: int) -> None:
        """Tell these how it goes, over `total` steps."""
        self.progress, self.preview, self.total = progress, preview, total

    def paint(self, seed: int, size: tuple[int, int], strength: float | None = None,
              start: Image.Image | None = None, blend: Blend | None = None) -> Image.Image:
        """One picture of width and height `size`, from noise, or from `start` by `strength`.

        Raises NotFinite for one that would be black.
        """
        options = {**self.options, "generator": torch.Generator("cpu").manual_seed(seed), "output_type": "latent"}
        pipeline = self.pipeline
        if start is None:
            options |= {"width": size[0], "height": size[1]}
        else:
            pipeline = latents_pipeline(self.host, self.scheduler)
            shown = start.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            options |= {"image": encode_images(self.host, [shown]), "strength": strength}
        keep = blend.keeping(self.scheduler, seed, self.options["prompt_embeds"].dtype) if blend else None

        def on_step(pipe: Any, step: int, _t: Any, values: dict[str, Any]) -> dict[str, Any]:
            self._stepped(values["latents"])
            skipped = len(self.scheduler.timesteps) - pipe.num_timesteps
            return {"latents": keep(step + skipped, values["latents"])} if keep else values

        result = pipeline(**options, callback_on_step_end=on_step)
        found: Image.Image = self.pipeline.image_processor.postprocess(
            self._decoded(result.images), output_type="pil")[0]
        return found

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        """Pixels, by the autoencoder in its own precision, or in fp32 where that overflows."""
        if not _finite(latents):
            raise NotFinite("The picture came to values that are not finite and would be black; lower the strength of "
                            "its adapters or the guidance, or choose another sampler or base.")
        pixels = self.host.decode(latents)
        if not _finite(pixels):
            pixels = self.host.decode(latents, full=True)
        if not _finite(pixels):
            raise NotFinite("The base's autoencoder made values that are not finite, so the picture would be black; "
                            "choose another base, or one with another autoencoder.")
        return pixels

    def _stepped(self, latents: torch.Tensor) -> None:
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)
        if self.preview and self.done < self.total and time.monotonic() - self._shown >= _PREVIEW_EVERY:
            self.preview(self._small(latents))
            self._shown = time.monotonic()

    def _small(self, latents: torch.Tensor) -> Image.Image:
        """The latents as they stand, made few and decoded: cheap, whatever the picture's size."""
        share = min(1.0, _PREVIEW_SIDE / max(latents.shape[-2:]))
        few = F.interpolate(latents.float(), scale_factor=share, mode="area") if share < 1 else latents
        few = few / max(1.0, float(few.std()))  # samplers that count in sigmas have noise of their scale in them
        return self.pipeline.image_processor.postprocess(  # type: ignore[no-any-return]
            self.host.decode(few.to(latents.dtype)), output_type="pil")[0]


def _finite(values: torch.Tensor) -> bool:
    return bool(torch.isfinite(values).all())


def count_steps(scheduler: Any, steps: int, strength: float | None) -> int:
    """How often the pipeline calls back; StudioError when that is not at all."""
    scheduler.set_timesteps(steps)
    left = steps if strength is None else int(steps * strength)
    if not left:
        raise StudioError(f"A strength of {strength:g} leaves none of {steps} steps; raise one of the two.")
    return len(scheduler.timesteps[(steps - left) * scheduler.order:])
