"""LoRA as a recipe: layers by preset, denoising loss; one phase, or two with pivotal tuning."""

from __future__ import annotations

from adapters.base import Adapter
from adapters.bundle import BundleAdapter
from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.lora.adapter import ATTENTION, CONVOLUTIONS, FEED_FORWARD
from adapters.tokens import TokensAdapter
from pipelines.lesson import Lesson
from pipelines.methods.lora.config import Config
from pipelines.methods.plain import plain_samples
from pipelines.objectives import DenoisingLoss
from pipelines.recipe import Phase, Recipe

_LAYERS = {
    "attention": ATTENTION,
    "attention+feed-forward": (*ATTENTION, *FEED_FORWARD),
    "all": (*ATTENTION, *FEED_FORWARD, *CONVOLUTIONS),
}


def build(host: Host, config: Config, lesson: Lesson) -> Recipe:
    """The recipe for `config` on `host`."""
    lora = LoraAdapter.for_training(
        host, rank=config.rank, alpha=config.alpha, targets=_LAYERS[config.layers],
        rslora=config.rslora, dora=config.dora, text_encoder=config.text_encoder,
    )
    adapter: Adapter = lora
    phases = [Phase("lora", config.steps, {"lora": config.learning_rate})]
    if config.word:
        words = TokensAdapter.for_training(host, {c.trigger: c.noun for c in lesson.concepts})
        adapter = BundleAdapter({"words": words, "lora": lora})
        # Tokens first find the concept, then the LoRA refines it around them (Roich et al., 2106.05744).
        together = config.steps // 2
        rates = {"tokens": config.word_rate, "lora": config.learning_rate}
        phases = [Phase("word and lora", together, rates),
                  Phase("lora", config.steps - together, {"lora": config.learning_rate})]
    return Recipe(
        adapter, DenoisingLoss(host.scheduler.config.prediction_type, config.min_snr_gamma,
                               prior_weight=config.prior_weight), phases,
        samples=lambda: plain_samples(host, config, lesson, live=config.word or config.text_encoder),
        reads_base=config.dora,
    )
