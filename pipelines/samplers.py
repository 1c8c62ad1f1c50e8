"""Samplers by A1111's names, each built from the base's own scheduler. Imports torch only where one is built.

The base's training noise, what its denoiser predicts and its zero terminal SNR (Lin et al., arXiv 2305.08891) are
kept, whichever sampler is taken; one that cannot keep them is refused.
"""

from __future__ import annotations

import inspect
from typing import Any

from adapters.errors import StudioError

SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "DDIM": ("DDIMScheduler", {"clip_sample": False}),
    "PLMS": ("PNDMScheduler", {"skip_prk_steps": True}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "DPM2": ("KDPM2DiscreteScheduler", {}),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"use_exponential_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
}
AUTOMATIC = "Automatic"
"""A1111's word for a sampler's own schedule."""


def sampler_name(scheduler: Any) -> str:
    """A1111's name of a diffusers scheduler; its class's where A1111 has none."""
    kind = type(scheduler).__name__
    for name, (wanted, settings) in SAMPLERS.items():
        if kind == wanted and settings.get("algorithm_type") in (None, scheduler.config.get("algorithm_type")):
            return name
    return kind.removesuffix("Scheduler")


def build_sampler(own: Any, sampler: str | None = None, schedule: str | None = None) -> Any:
    """A scheduler that paints what the base's `own` would, taking its steps in another way.

    Without names, or with its own name, it is `own` itself. Raises StudioError for what cannot be kept or had.
    """
    named = sampler or sampler_name(own)
    if schedule is None and named == sampler_name(own):
        return own
    import diffusers

    kind, settings = SAMPLERS.get(named, (type(own).__name__, {}))
    built = getattr(diffusers, kind)
    accepted = inspect.signature(built.__init__).parameters
    if own.config.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in accepted:
        raise StudioError(f"'{named}' cannot begin at the pure noise that this base was trained to (zero terminal "
                          "SNR); choose DDIM, Euler, Euler a, DPM++ 2M or UniPC.")
    if schedule is not None and not set(SCHEDULES[schedule]) <= set(accepted):
        able = [s for s in SCHEDULES if set(SCHEDULES[s]) <= set(accepted)]
        raise StudioError(f"'{named}' has no '{schedule}' schedule; choose {' or '.join([*able, AUTOMATIC])}.")
    return built.from_config(own.config, **settings, **SCHEDULES.get(schedule or "", {}))
