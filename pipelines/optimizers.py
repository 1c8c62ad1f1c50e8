"""Optimizers by their settings' names. Packages that not everybody has are imported when they are asked for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from adapters.errors import StudioError
from pipelines.extras import require
from pipelines.methods.common import PACKAGES, OptimizerName


def build_optimizer(kind: OptimizerName, groups: Sequence[dict[str, Any]], *, weight_decay: float,
                    device: torch.device) -> torch.optim.Optimizer:
    """The optimizer `kind` over `groups` of torch's form ('params', 'lr', and what the caller adds).

    * adamw: Loshchilov and Hutter, arXiv 1711.05101; torch's, fused on CPU and CUDA.
    * adamw8bit: the same with its two moments in 8 bits (Dettmers et al., arXiv 2110.02861); bitsandbytes keeps
      tensors of fewer than 4096 numbers in 32 bits.
    * adafactor: Shazeer and Stern, arXiv 1804.04235, with second moments by rows and columns. Transformers' form,
      since torch's always scales by the weights' size and by 1/sqrt(t); here the rate is the groups' own.
    * prodigy: Mishchenko and Defazio, arXiv 2306.06101, with the options that its authors name for diffusion
      models. It finds one step size d for all groups; 'lr' is a factor of it.

    Weight decay is decoupled in all of them. Raises StudioError when the package is not installed, and as
    `check_rates` does.
    """
    check_rates(kind, {str(n): float(g["lr"]) for n, g in enumerate(groups)})
    if kind in PACKAGES:
        require(PACKAGES[kind], f"The optimizer '{kind}'")
    if kind == "adamw8bit":
        from bitsandbytes.optim import AdamW8bit

        eight: torch.optim.Optimizer = AdamW8bit(groups, weight_decay=weight_decay)
        return eight
    if kind == "adafactor":
        from transformers.optimization import Adafactor

        factored: torch.optim.Optimizer = Adafactor(
            groups, weight_decay=weight_decay, scale_parameter=False, relative_step=False, warmup_init=False)
        return factored
    if kind == "prodigy":
        from prodigyopt import Prodigy

        with contextlib.redirect_stdout(sys.stderr):  # it prints that its decay is decoupled
            prodigy: torch.optim.Optimizer = Prodigy(groups, weight_decay=weight_decay, use_bias_correction=True,
                                                     safeguard_warmup=True)
        return prodigy
    return torch.optim.AdamW(groups, weight_decay=weight_decay, fused=device.type in ("cpu", "cuda"))


def check_rates(kind: OptimizerName, rates: Mapping[str, float]) -> None:
    """Raise StudioError when `kind` cannot move groups (name -> rate) together: Prodigy wants one rate for all."""
    if kind == "prodigy" and len(set(rates.values())) > 1:
        found = ", ".join(f"{rate:g}" for rate in dict.fromkeys(rates.values()))
        raise StudioError(f"Prodigy finds one step size for all that is learned and needs one learning rate, a factor "
                          f"of it; found {found}; leave the rates out, or give the same to each.")


def effective_rates(optimizer: torch.optim.Optimizer, names: Sequence[str]) -> dict[str, float]:
    """How far the last step went by group: the learning rate, times the step size where Prodigy found one."""
    return {name: float(group["lr"]) * float(group.get("d", 1.0))
            for name, group in zip(names, optimizer.param_groups, strict=True)}
