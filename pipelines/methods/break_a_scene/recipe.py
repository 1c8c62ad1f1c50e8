"""Break-A-Scene as a recipe: words alone, then words with a LoRA or with all weights."""

from __future__ import annotations

import functools
from dataclasses import replace

from adapters.base import Adapter
from adapters.bundle import BundleAdapter
from adapters.errors import StudioError
from adapters.full import FullAdapter
from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.lora.adapter import ATTENTION, CONVOLUTIONS, FEED_FORWARD
from adapters.tokens import TokensAdapter
from pipelines.attention import WordProbe
from pipelines.auto_masks import fill_in
from pipelines.dataset import Buckets, LatentDataset, Mixed, WithPrior, build_dataset
from pipelines.lesson import Lesson
from pipelines.mask_sources.attention import attention_resolution
from pipelines.methods.break_a_scene.config import Config
from pipelines.methods.break_a_scene.scene import SceneLoss, UnionSamples, with_background
from pipelines.methods.plain import class_samples
from pipelines.recipe import Phase, Recipe, Samples

BACKGROUND = "<background>"


def build(host: Host, config: Config, lesson: Lesson) -> Recipe:
    """The recipe for `config` on `host`.

    Raises StudioError when a picture has no masks, unless they are to be found by the concepts' nouns.
    """
    if config.masks != "auto" and not all(p.masks for p in lesson.pictures):
        raise StudioError("Break-A-Scene needs a mask for each concept in each picture; paint them, give "
                          "maskN.png files, or let masks be found (masks = auto).")
    if any(p.caption for p in lesson.pictures):
        lesson.report({"type": "warning", "text": "Break-A-Scene makes prompts of its own, the captions are not used."})
    initialisers = {c.trigger: c.noun for c in lesson.concepts}
    if config.background:
        initialisers[BACKGROUND] = "background"
    words = TokensAdapter.for_training(host, initialisers)
    tuned: Adapter = FullAdapter()
    if config.tuning == "lora":
        tuned = LoraAdapter.for_training(host, rank=config.rank, alpha=config.rank, text_encoder=True,
                                         targets=(*ATTENTION, *FEED_FORWARD, *CONVOLUTIONS))
    first = round(config.steps * config.word_share)
    group = {"lora": "lora", "full": "weights"}[config.tuning]

    @functools.cache
    def views() -> LatentDataset:
        return scene_views(host, config, fill_in(host, lesson, config.masks, config.mask_source, config.mask_model))

    def samples() -> UnionSamples:
        return UnionSamples(host, views(), tuple(initialisers), union=config.union_sampling)

    def with_prior() -> Samples:
        if not config.prior_weight:
            return samples()
        return WithPrior(samples(), Mixed(tuple(
            class_samples(host, config, lesson, c.noun, live=True) for c in lesson.concepts)))

    phases = [Phase("words", first, {"tokens": config.word_rate}),
              Phase("scene", config.steps - first, {"tokens": config.learning_rate, group: config.learning_rate},
                    samples=with_prior)]
    side = config.attention_resolution or attention_resolution(host)
    probe = (lambda: WordProbe(host, side, tuple(initialisers))) if config.attention_weight else None
    return Recipe(
        BundleAdapter({"words": words, "tuned": tuned}),
        SceneLoss(host.scheduler.config.prediction_type, config.attention_weight, config.prior_weight,
                  config.masked_loss, config.min_snr_gamma),
        tuple(p for p in phases if p.steps), samples=samples, probe=probe,
        reads_base=config.tuning == "full",
    )


def scene_views(host: Host, config: Config, lesson: Lesson) -> LatentDataset:
    """Every view of every picture with hard masks, all of one size."""
    found = build_dataset(host, lesson.pictures, ["a photo"], config, live=True)
    if isinstance(found, Buckets):
        raise TypeError("Square views are of one size.")
    if found.masks is not None and config.background:
        masks = with_background(found.masks)
        if bool((masks[:, -1].flatten(1).amax(-1) == 0).any()):
            raise StudioError("The masks cover a whole picture, so nothing of it is left for the background; mask less "
                              "of it, or set 'background' to false.")
        found = replace(found, masks=masks)
    if found.masks is not None and bool((found.masks.flatten(2).amax(-1) == 0).any()):
        raise StudioError("A mask is so small that nothing of it is left on the base's grid; mask more of the "
                          "thing or crop the picture nearer to it.")
    return found
