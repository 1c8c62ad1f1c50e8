"""Textual inversion as a recipe: one word's vectors, denoising loss, one phase."""

from __future__ import annotations

import itertools

import torch

from adapters.host import Host
from adapters.tokens import TokensAdapter
from pipelines.lesson import Lesson
from pipelines.methods.plain import plain_samples
from pipelines.methods.textual_inversion.config import Config
from pipelines.objectives import DenoisingLoss
from pipelines.recipe import Phase, Recipe


def build(host: Host, config: Config, lesson: Lesson) -> Recipe:
    """The recipe for `config` on `host`."""
    adapter = TokensAdapter.for_training(host, {c.trigger: c.noun for c in lesson.concepts},
                                         vectors=config.vectors)
    usual = [float(host.text.embedding(n).weight.detach().float().norm(dim=-1).median())
             for n in range(len(host.text.encoders))]
    share = min(1.0, 100 * config.learning_rate)

    @torch.no_grad()
    def settle() -> None:
        """|v| <- |v| + lambda (usual - |v|), lambda = min(1, 100 lr), along v."""
        for row, wanted in zip(adapter.groups()["tokens"], itertools.cycle(usual), strict=False):
            length = row.norm(dim=-1, keepdim=True).clamp(min=1e-9)
            row.mul_((length + share * (wanted - length)) / length)

    return Recipe(
        adapter, DenoisingLoss(host.scheduler.config.prediction_type, config.min_snr_gamma,
                               prior_weight=config.prior_weight),
        (Phase("word", config.steps, {"tokens": config.learning_rate}),),
        samples=lambda: plain_samples(host, config, lesson, live=True),
        stepped=settle if config.norm_prior else None,
    )
