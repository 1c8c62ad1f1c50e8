"""Perfusion as a recipe: an embedding and the value targets, mask-weighted loss, i* by moving average."""

from __future__ import annotations

import torch

from adapters.errors import StudioError
from adapters.host import Host
from adapters.perfusion import PerfusionAdapter
from adapters.perfusion.second_moment import solver
from adapters.text import Conditioning, Tokens
from pipelines.corpus import second_moment
from pipelines.dataset import CAPTIONS
from pipelines.lesson import Lesson
from pipelines.methods.perfusion.config import Config
from pipelines.methods.plain import plain_samples
from pipelines.objectives import DenoisingLoss
from pipelines.recipe import Phase, Recipe, Samples
from pipelines.wording import with_article


def superclass_encoding(host: Host, noun: str) -> torch.Tensor:
    """e_super [d]: the mean encoding at the class word's last token over the training captions."""
    tokens = host.text.tokenize([c.format(with_article(noun)) for c in CAPTIONS])
    where = host.text.last_of(tokens, noun)
    with torch.no_grad():
        states = host.text.encode(tokens).states.float()
    return states[torch.arange(len(where)), where].mean(0)


def build(host: Host, config: Config, lesson: Lesson) -> Recipe:
    """The recipe for `config` on `host`; the first run on a text encoder takes its statistics."""
    concept = lesson.concepts[0]
    lesson.report({"type": "stage", "text": "Taking the text encoder's statistics"})
    matrix = second_moment(host, config.captions, lesson.cache)
    try:
        factor = solver(matrix, config.ridge)
    except RuntimeError as error:
        raise StudioError("This base's text encodings span too few directions for Perfusion; set 'ridge' to a "
                          "small number such as 0.001.") from error
    adapter = PerfusionAdapter.for_training(
        host, concept.trigger, concept.noun, superclass_encoding(host, concept.noun), factor,
        bias=config.bias, temperature=config.temperature)

    def encoded(text: Conditioning, tokens: Tokens) -> None:
        adapter.observe(text.states, host.text.positions(tokens, concept.trigger))

    def samples() -> Samples:
        # The edit shows from the start; masks and class images are to be the base's own.
        adapter.set_strength(0)
        try:
            return plain_samples(host, config, lesson, live=True)
        finally:
            adapter.set_strength(1)

    rates = {"tokens": config.word_rate, "values": config.learning_rate}
    if not config.key_locking:
        rates["keys"] = config.learning_rate
    return Recipe(
        adapter, DenoisingLoss(host.scheduler.config.prediction_type, config.min_snr_gamma, config.mask_normalise,
                               config.prior_weight),
        (Phase("edit", config.steps, rates),),
        samples=samples, encoded=encoded, stepped=adapter.stepped, reads_base=True,
    )
