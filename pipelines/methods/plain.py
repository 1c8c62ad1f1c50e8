"""Samples of methods that learn one thing from pictures of it."""

from __future__ import annotations

from adapters.host import Host
from pipelines.auto_masks import fill_in
from pipelines.dataset import CAPTIONS, Buckets, LatentDataset, WithPrior, build_dataset
from pipelines.lesson import Lesson, Picture
from pipelines.methods.common import TrainingConfig
from pipelines.recipe import Samples
from pipelines.wording import with_article


def plain_samples(host: Host, config: TrainingConfig, lesson: Lesson, *, live: bool) -> Samples:
    """Every picture under every caption of its concept; class images behind them where asked for.

    `live` keeps prompts as tokens, for methods that learn words or encoders.
    """
    lesson = fill_in(host, lesson, config.masks, config.mask_source, config.mask_model)
    subject = with_article(lesson.concepts[0].phrase)
    own = build_dataset(host, lesson.pictures, [c.format(subject) for c in CAPTIONS], config, live=live)
    if not config.prior_weight:
        return own
    noun = lesson.concepts[0].noun

    def with_prior(part: LatentDataset) -> WithPrior:
        size = (part.latents.shape[-1] * host.downsampling, part.latents.shape[-2] * host.downsampling)
        return WithPrior(part, class_samples(host, config, lesson, noun, live=live, size=size))

    if isinstance(own, Buckets):
        return Buckets(tuple(with_prior(p) for p in own.parts), own.shares)
    return with_prior(own)


def class_samples(host: Host, config: TrainingConfig, lesson: Lesson, noun: str, *, live: bool,
                  size: tuple[int, int] | None = None) -> Samples:
    """Class images (Ruiz et al., arXiv 2208.12242, section 3.2), squares or of `size` (width, height in pixels)."""
    count = min(config.prior_images, config.steps * config.batch)
    images = lesson.class_images(noun, count)
    whole = config.model_copy(update={"flip": False, "zoom": 1.0, "buckets": False})
    return build_dataset(host, [Picture(i) for i in images], [f"a photo of {with_article(noun)}"], whole, live=live,
                         size=size)
