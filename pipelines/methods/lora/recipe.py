"""LoRA as a recipe: layers by preset, denoising loss, one phase."""

from __future__ import annotations

from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.lora.adapter import ATTENTION, CONVOLUTIONS, FEED_FORWARD
from pipelines.methods.lora.config import Config
from pipelines.objectives import DenoisingLoss
from pipelines.recipe import Phase, Recipe

_LAYERS = {
    "attention": ATTENTION,
    "attention+feed-forward": (*ATTENTION, *FEED_FORWARD),
    "all": (*ATTENTION, *FEED_FORWARD, *CONVOLUTIONS),
}


def build(host: Host, config: Config) -> Recipe:
    """The recipe for `config` on `host`."""
    adapter = LoraAdapter.for_training(
        host, rank=config.rank, alpha=config.alpha, targets=_LAYERS[config.layers],
        rslora=config.rslora, dora=config.dora,
    )
    objective = DenoisingLoss(host.scheduler.config.prediction_type, config.min_snr_gamma)
    return Recipe(adapter, objective, (Phase("lora", config.steps, {"lora": config.learning_rate}),))
