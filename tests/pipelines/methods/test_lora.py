from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from adapters.host import Host
from pipelines.lesson import Lesson
from pipelines.methods.lora.config import Config
from pipelines.methods.lora.recipe import build
from pipelines.objectives import DenoisingLoss, snr_weights
from pipelines.recipe import Batch, Prediction
from tests.adapters.tools import anatomy, answer, same, twin
from tests.pipelines.tools import LEFT, begin, equal, lesson, run, unbroken_and_resumed

TEXT: Any = torch.zeros(1)


def settings(**changes: Any) -> Config:
    return Config(**{"steps": 4, "batch": 2, "learning_rate": 1e-2, "rank": 2, "alpha": 3.0, "buckets": False,
                     **changes})


def plain(taught: Lesson) -> Lesson:
    """The same under a rare word of the base."""
    return replace(taught, concepts=tuple(c.model_copy(update={"trigger": "zok", "learned": False})
                                          for c in taught.concepts))


@pytest.mark.parametrize("options", [{}, {"rslora": True}, {"layers": "all"}, {"text_encoder": True},
                                     {"layers": "attention+feed-forward"}])
def test_a_fresh_lora_of_any_recipe_changes_no_bit(host: Host, options: dict[str, Any]) -> None:
    base = answer(host)
    begin(host, settings(**options), plain(lesson("mycat")))
    assert same(answer(host), base)


def test_a_fresh_dora_changes_nothing_but_rounding(host: Host) -> None:
    base = answer(host)
    begin(host, settings(dora=True, layers="all"), plain(lesson("mycat")))
    torch.testing.assert_close(answer(host)[1], base[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"word": True}, {"text_encoder": True, "layers": "all"}])
def test_only_the_adapter_learns(host: Host, options: dict[str, Any]) -> None:
    tree = anatomy(host)
    made = begin(host, settings(**options), lesson("mycat"))
    start = made.recipe.adapter.state()
    run(made)
    assert not any(torch.equal(start[k], t) for k, t in made.recipe.adapter.state().items())
    made.recipe.adapter.eject()
    assert anatomy(host) == tree


# pivotal tuning


def test_the_word_learns_with_the_lora_until_the_pivot_and_is_fixed_after_it(host: Host) -> None:
    made = begin(host, settings(word=True, steps=7), lesson("mycat"))
    states = [made.recipe.adapter.state()]
    for _ in range(7):
        run(made, stop=1)
        states.append(made.recipe.adapter.state())
    words = [s["words/<mycat>.0"] for s in states]
    assert [not torch.equal(a, b) for a, b in pairwise(words)] == [True] * 3 + [False] * 4
    for before, after in pairwise(states):
        moved = [not torch.equal(before[k], after[k]) for k in before if k.endswith("lora_B.weight")]
        assert moved and all(moved)


def test_the_word_stands_alone_in_the_prompts_and_has_its_own_rate(host: Host) -> None:
    made = begin(host, settings(word=True, word_rate=5e-3, schedule="constant"), lesson("mycat"))
    tokens = made.samples.sample(made.generator, 16).text
    assert ((tokens.slots >= 0).sum(1) == 1).all() and not (tokens.ids == host.text.pieces("cat")[0]).any()
    run(made, stop=1)
    assert [g["lr"] for g in made.optimizer.param_groups] == [5e-3, 1e-2]
    run(made)
    assert [g["lr"] for g in made.optimizer.param_groups] == [1e-2]
    assert not any(p.requires_grad for p in made.groups["tokens"])


@pytest.mark.parametrize("stop", [1, 2, 3])
@pytest.mark.parametrize("options", [{"word": True}, {"text_encoder": True, "prior_weight": 1.0, "dora": True}])
def test_a_resumed_run_ends_bit_for_bit_also_across_the_pivot(host: Host, stop: int, options: dict[str, Any]) -> None:
    whole, again = unbroken_and_resumed(host, settings(**options), lesson("mycat", masks=[LEFT]), stop)
    assert equal(again.recipe.adapter.state(), whole.recipe.adapter.state())


# prior preservation


def prediction(count: int = 4) -> tuple[Prediction, Batch]:
    chance = torch.Generator().manual_seed(0)
    predicted, target = torch.randn(2, count, 4, 8, 8, generator=chance)
    return (Prediction(predicted, target, torch.linspace(1, 20, count)),
            Batch(target, TEXT, torch.rand(count, 1, 8, 8, generator=chance)))


def first(found: Prediction, batch: Batch, count: int) -> tuple[Prediction, Batch]:
    masks = None if batch.masks is None else batch.masks[:count]
    return (Prediction(found.predicted[:count], found.target[:count], found.snr[:count]),
            Batch(batch.latents[:count], batch.text, masks))


@pytest.mark.parametrize("gamma", [None, 5.0])
@pytest.mark.parametrize("masked", [False, True])
def test_a_prior_of_weight_0_is_the_loss_of_the_own_pictures_alone(gamma: float | None, masked: bool) -> None:
    found, batch = prediction()
    batch = replace(batch, masks=batch.masks if masked else None, prior=2)
    own = DenoisingLoss("epsilon", gamma)(*first(found, batch, 2))
    losses = DenoisingLoss("epsilon", gamma, prior_weight=0.0)(found, batch)
    assert torch.equal(sum(losses.values(), torch.zeros(())), own["denoising"])


@pytest.mark.parametrize("gamma", [None, 5.0])
def test_class_images_are_weighed_by_their_own_noise_and_by_no_mask(gamma: float | None) -> None:
    found, batch = prediction()
    losses = DenoisingLoss("epsilon", gamma, prior_weight=0.5)(found, replace(batch, prior=2))
    error = (found.predicted - found.target).square().mean((1, 2, 3))[2:]
    if gamma:
        error = error * snr_weights(found.snr, gamma, "epsilon")[2:]
    assert torch.equal(losses["prior"], 0.5 * error.mean())


def test_with_and_without_prior_weight_in_the_recipe(host: Host) -> None:
    without = begin(twin(host), settings(), plain(lesson("mycat")))
    batch = without.samples.sample(without.generator, 2)
    assert batch.prior == 0 and len(batch.latents) == 2
    made = begin(host, settings(prior_weight=0.5), plain(lesson("mycat")))
    assert made.samples.sample(made.generator, 2).prior == 2
    assert build(host, settings(prior_weight=0.5), plain(lesson("mycat"))).objective.prior_weight == 0.5
    assert all("prior" in e for e in run(made).of("step"))
