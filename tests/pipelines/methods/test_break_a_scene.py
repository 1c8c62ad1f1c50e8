from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from adapters.bundle import BundleAdapter
from adapters.errors import StudioError
from adapters.full import FullAdapter
from adapters.host import Host
from pipelines.lab import series
from pipelines.lab.trials import Sample
from pipelines.lesson import Lesson
from pipelines.methods import recipe_builder
from pipelines.methods.break_a_scene.config import Config
from pipelines.methods.break_a_scene.recipe import BACKGROUND, scene_views
from pipelines.methods.break_a_scene.scene import UnionSamples, prompt_of
from pipelines.objectives import DenoisingLoss
from pipelines.recipe import Batch, Phase, Recipe
from tests.adapters.tools import anatomy, answer, same, twin
from tests.pipelines.tools import (
    LEFT,
    RIGHT,
    WHOLE,
    begin,
    class_images,
    equal,
    lesson,
    mask,
    run,
    unbroken_and_resumed,
)

CORNERS = [mask((0, 0, 16, 16)), mask((16, 0, 32, 16)), mask((0, 16, 16, 32))]
TWO = lesson("a", "b", masks=[LEFT, RIGHT])
THREE = lesson("a", "b", "c", masks=CORNERS)
TUNING = pytest.mark.parametrize("tuning", ["lora", "full"])


def settings(**changes: Any) -> Config:
    return Config(**{"steps": 4, "batch": 2, "learning_rate": 1e-3, "word_rate": 1e-2, "attention_resolution": 4,
                     "rank": 2, **changes})


def sampler(host: Host, config: Config | None = None, taught: Any = THREE) -> UnionSamples:
    """Makes the words known too."""
    recipe = recipe_builder("break-a-scene")(host, config or settings(), taught)
    recipe.adapter.inject(host, "training")
    found: UnionSamples = recipe.samples()
    return found


def draw(samples: UnionSamples, count: int, seed: int = 0) -> Batch:
    return samples.sample(torch.Generator().manual_seed(seed), count)


def words_in(host: Host, batch: Batch, words: tuple[str, ...]) -> list[tuple[int, ...]]:
    """The concepts of each prompt in the order in which they stand there."""
    found = []
    for n in range(len(batch.text)):
        at = {int(host.text.positions(batch.text[n:n + 1], w)[0].int().argmax()): c for c, w in enumerate(words)
              if host.text.positions(batch.text[n:n + 1], w).any()}
        found.append(tuple(c for _, c in sorted(at.items())))
    return found


# sampling


def test_the_number_of_concepts_is_uniform_and_every_ordered_subset_comes(host: Host) -> None:
    samples = sampler(host)
    batch = draw(samples, 3000)
    chosen = words_in(host, batch, samples.words)
    sizes = Counter(len(c) for c in chosen)
    assert set(sizes) == {1, 2, 3} and all(abs(n - 1000) < 100 for n in sizes.values())  # four standard deviations
    every = {p for k in (1, 2, 3) for p in itertools.permutations(range(3), k)}
    assert set(chosen) == every


def test_prompt_and_masks_name_the_same_concepts(host: Host) -> None:
    samples = sampler(host)
    batch, grid = draw(samples, 200), scene_views(host, settings(), THREE).masks
    assert batch.masks is not None and grid is not None
    for masks, chosen in zip(batch.masks, words_in(host, batch, samples.words), strict=True):
        for c, layer in enumerate(masks):
            if c in chosen:  # as it is, or mirrored
                assert torch.equal(layer, grid[0, c]) or torch.equal(layer, grid[1, c])
            else:
                assert not layer.any()


def test_the_prompt_joins_the_words_by_and() -> None:
    assert prompt_of(["<b>"]) == "a photo of <b>"
    assert prompt_of(["<b>", "<a>", "<c>"]) == "a photo of <b> and <a> and <c>"


def test_masks_and_latents_are_mirrored_together(host: Host) -> None:
    views = scene_views(host, settings(), TWO)
    assert views.masks is not None and len(views.latents) == 2
    assert torch.equal(views.masks[1], views.masks[0].flip(-1))
    plain = scene_views(host, settings(flip=False), TWO)
    assert torch.equal(views.latents[:1], plain.latents) and torch.equal(views.masks[:1], plain.masks)
    batch = draw(sampler(host, taught=TWO), 400)
    assert batch.masks is not None
    mirrored = (batch.latents == views.latents[1]).flatten(1).all(1)
    assert 160 < int(mirrored.sum()) < 240
    whole = batch.masks.flatten(2).amax(-1).all(1)
    for view, drawn in enumerate((~mirrored & whole, mirrored & whole)):
        assert drawn.any() and (batch.masks[drawn] == views.masks[view]).all()


@pytest.mark.parametrize("taught", [TWO, THREE])
def test_a_word_is_in_as_many_steps_as_the_labs_claim_takes_it_to_be(host: Host, taught: Lesson) -> None:
    """`series.steps_as_often`, against batches as they are drawn."""
    claim = next(a for a in series.ablations() if a.as_often)
    whole, without = next((a.config, b.config) for a, b in claim.pairs()
                          if len(Sample(a.samples[0]).nouns) == len(taught.concepts))
    assert whole and without
    assert without.model_dump() == {**whole.model_dump(), "union_sampling": False, "steps": without.steps}
    drawn = draw(sampler(host, taught=taught), 3000)
    assert drawn.masks is not None
    share = float((drawn.masks.amax((-1, -2)) > 0).float().mean())
    assert without.steps == pytest.approx(whole.steps * share, rel=0.02)


def test_without_union_sampling_every_prompt_has_all(host: Host) -> None:
    samples = sampler(host, settings(union_sampling=False))
    assert {tuple(sorted(c)) for c in words_in(host, draw(samples, 50), samples.words)} == {(0, 1, 2)}


def test_several_pictures_of_a_scene_share_the_concepts(host: Host) -> None:
    two = replace(TWO, pictures=(*TWO.pictures, replace(TWO.pictures[0], masks=(RIGHT, LEFT))))
    views = scene_views(host, settings(flip=False), two)
    assert views.masks is not None and torch.equal(views.masks[0], views.masks[1].flip(0))


def test_the_attention_column_follows_its_word_through_any_order(host: Host) -> None:
    made = begin(host, settings(), THREE)
    batch = draw(made.samples, 24)
    with torch.no_grad():
        found = made.predict(batch, torch.full((24,), 500), torch.randn(batch.latents.shape)).attention
        assert found is not None and batch.masks is not None
        assert torch.equal(found.flatten(2).any(-1), batch.masks.flatten(2).any(-1))
        probe = made.probe
        for n, chosen in enumerate(words_in(host, batch, ("<a>", "<b>", "<c>"))):
            for place, c in enumerate(chosen):
                columns = torch.zeros(24, 1, 77, dtype=torch.bool)
                columns[n, 0, 4 + 2 * place] = True  # start, 'a photo of', then word, 'and', word
                assert torch.equal(probe.maps(columns)[n, 0], found[n, c])


# the run: phases


@TUNING
def test_phase_1_moves_the_n_words_and_no_other_bit(host: Host, tuning: Any) -> None:
    made = begin(host, settings(tuning=tuning, steps=6, word_share=0.5), TWO)
    start, base = made.recipe.adapter.state(), answer(host)
    run(made, stop=3)
    end = made.recipe.adapter.state()
    assert {k for k in start if not torch.equal(start[k], end[k])} == {"words/<a>.0", "words/<b>.0"}
    assert same(answer(host), base)
    made.recipe.adapter.eject()
    assert same(answer(host), base)


@TUNING
def test_phase_2_moves_everything_and_out_again_is_the_base(host: Host, tuning: Any) -> None:
    tree = anatomy(host)
    made = begin(host, settings(tuning=tuning), TWO)
    run(made, stop=2)
    start = made.recipe.adapter.state()
    run(made)
    end = made.recipe.adapter.state()
    assert not [k for k in start if torch.equal(start[k], end[k])]
    made.recipe.adapter.eject()
    assert anatomy(host) == tree


def test_the_rates_are_the_phases_own(host: Host) -> None:
    made = begin(host, settings(), TWO)
    run(made, stop=1)
    assert [g["lr"] for g in made.optimizer.param_groups] == [1e-2]
    run(made)
    assert [g["lr"] for g in made.optimizer.param_groups] == [1e-3, 1e-3]


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_the_optimizer_is_made_anew_once_at_the_boundary_whatever_the_accumulation(
        host: Host, accumulate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made, entered = begin(host, settings(accumulate=accumulate, steps=6), TWO), list[tuple[str, int]]()
    plain = type(made)._enter
    monkeypatch.setattr(type(made), "_enter", lambda self, phase: (entered.append((phase.name, self.step)),
                                                                   plain(self, phase))[1])
    watch = run(made)
    assert entered == [("words", 0), ("scene", 3)]
    assert [(e["name"], e["step"]) for e in watch.of("phase")] == entered
    assert all(s["step"] == 3 for s in made.optimizer.state.values())


@TUNING
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_resumed_run_ends_bit_for_bit_in_before_and_after_the_boundary(host: Host, tuning: Any, stop: int) -> None:
    whole, again = unbroken_and_resumed(host, settings(tuning=tuning, accumulate=2), TWO, stop)
    assert equal(again.recipe.adapter.state(), whole.recipe.adapter.state())


@TUNING
@pytest.mark.parametrize("stop", [None, 3])
def test_class_images_are_the_bases_own_also_when_a_run_is_taken_up_in_phase_2(host: Host, tuning: Any,
                                                                              stop: int | None) -> None:
    base, seen, at = answer(host), list[bool](), host

    def painted(noun: str, count: int) -> list[Image.Image]:
        seen.append(same(answer(at), base))
        return class_images(noun, count)

    taught = lesson("a", "b", masks=[LEFT, RIGHT], painted=painted)
    at = twin(host)
    first = begin(at, settings(tuning=tuning), taught)
    run(first, stop=stop)
    assert seen == [True, True]  # one noun each, at the boundary
    at = twin(host)
    second = begin(at, settings(tuning=tuning), taught)
    second.load_state_dict(first.state_dict())
    assert not same(answer(at), base) and all(seen) and len(seen) == 4


def test_class_images_come_in_phase_2_alone_under_their_nouns(host: Host) -> None:
    made, counts = begin(host, settings(steps=8), TWO), list[Any]()
    plain = made.losses

    def watched(batch: Batch) -> Any:
        counts.append((batch.prior, len(batch.latents), int((batch.text.slots >= 0).any(1).sum())))
        return plain(batch)

    made.losses = watched  # type: ignore[method-assign]
    watch = run(made)
    assert counts == [(0, 2, 2)] * 4 + [(2, 4, 2)] * 4
    assert ["prior" in e for e in watch.of("step")] == [False] * 4 + [True] * 4


def test_without_prior_weight_no_class_image_is_painted(host: Host) -> None:
    def never(noun: str, count: int) -> list[Image.Image]:
        raise AssertionError

    run(begin(host, settings(prior_weight=0), lesson("a", "b", masks=[LEFT, RIGHT], painted=never)))


@TUNING
def test_gradient_checkpointing_gives_the_same_adapter(host: Host, tuning: Any) -> None:
    states = []
    for checkpointing in (False, True):
        at = twin(host)
        if checkpointing:
            at.unet.enable_gradient_checkpointing()
        made = begin(at, settings(tuning=tuning), TWO)
        run(made)
        states.append(made.recipe.adapter.state())
    assert equal(*states)


def test_the_attention_loss_has_one_value_with_class_images_and_without(host: Host) -> None:
    """Same pictures, same noise; only rounding may differ between batches of two and of four."""
    made = begin(host, settings(attention_weight=1.0), TWO)
    run(made, stop=3)
    batch = made._samples.sample(torch.Generator().manual_seed(0), 2)
    assert batch.prior == 2 and batch.masks is not None
    steps, noise = torch.tensor([300, 600, 10, 900]), torch.randn(batch.latents.shape)
    alone = Batch(batch.latents[:2], batch.text[:2], batch.masks[:2])
    objective = made.recipe.objective
    with_prior = objective(made.predict(batch, steps, noise), batch)
    without = objective(made.predict(alone, steps[:2], noise[:2]), alone)
    for name in ("attention", "denoising"):
        torch.testing.assert_close(with_prior[name], without[name], rtol=1e-5, atol=1e-7)
    assert "prior" in with_prior and "prior" not in without


def test_one_concept_without_attention_prior_and_mask_is_textual_inversion_then_fine_tuning(host: Host) -> None:
    """The same bits, from the losses and adapters of the other methods."""
    one = lesson("a", masks=[WHOLE])
    config = settings(tuning="full", attention_weight=0, prior_weight=0, steps=6)
    scene = begin(twin(host), config, one)
    run(scene)

    class Unmasked:
        """The scene's samples as the other methods take them."""

        def __init__(self, own: UnionSamples) -> None:
            self.own = own

        def sample(self, generator: torch.Generator, batch: int) -> Batch:
            return replace(self.own.sample(generator, batch), masks=None)

    plain = DenoisingLoss("epsilon", None)
    words = begin(host, config.model_copy(update={"steps": 3}), one, recipe=Recipe(
        recipe_builder("break-a-scene")(host, config, one).adapter.parts["words"], plain,
        (Phase("word", 3, {"tokens": 1e-2}),)), data=Unmasked(sampler(twin(host), config, one)))
    run(words)
    learned = words.recipe.adapter
    learned.eject()
    tuned = begin(host, config, one, recipe=Recipe(
        BundleAdapter({"words": learned, "tuned": FullAdapter()}), plain,
        (Phase("tuning", 3, {"tokens": 1e-3, "weights": 1e-3}),)), data=words.samples)
    tuned.generator.set_state(words.generator.get_state())
    run(tuned)
    assert equal(tuned.recipe.adapter.state(), scene.recipe.adapter.state())


# what is asked of the masks


def test_the_background_is_one_more_word_and_covers_what_is_left(host: Host) -> None:
    rough = Image.linear_gradient("L").resize((48, 40))  # grey edges, and sides that have to be resized
    taught = lesson("a", "b", masks=[rough, mask((5, 3, 20, 30), 48).crop((0, 0, 48, 40))])
    taught = replace(taught, pictures=(replace(taught.pictures[0], image=taught.pictures[0].image.resize((48, 40))),))
    samples = sampler(host, settings(background=True), taught)
    assert samples.words == ("<a>", "<b>", BACKGROUND) and set(host.text.words) == set(samples.words)
    found = samples.views.masks
    assert found is not None and torch.equal(found.amax(1), torch.ones(2, 8, 8))
    assert torch.equal(found[:, 2] + found[:, :2].amax(1), torch.ones(2, 8, 8)) and found[:, 2].any()


def test_a_picture_without_masks_is_refused(host: Host) -> None:
    with pytest.raises(StudioError, match="needs a mask for each concept"):
        recipe_builder("break-a-scene")(host, settings(), lesson("a"))


def test_a_mask_of_which_nothing_is_left_is_refused(host: Host) -> None:
    with pytest.raises(StudioError, match="nothing of it is left on the base's grid"):
        scene_views(host, settings(), lesson("a", masks=[mask((1, 1, 3, 3))]))


def test_masks_that_leave_no_background_are_refused_where_it_is_to_be_learned(host: Host) -> None:
    with pytest.raises(StudioError, match="left for the background"):
        scene_views(host, settings(background=True), lesson("a", masks=[WHOLE]))
    assert scene_views(host, settings(), lesson("a", masks=[WHOLE])).masks is not None
