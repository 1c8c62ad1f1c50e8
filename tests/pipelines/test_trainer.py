from __future__ import annotations

import copy
import io
import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from diffusers import DDIMScheduler

from adapters.errors import StudioError
from adapters.host import Host
from adapters.record import Concept
from adapters.text import Conditioning
from pipelines.dataset import LatentDataset
from pipelines.lesson import Lesson
from pipelines.methods import recipe_builder
from pipelines.methods.lora.config import Config
from pipelines.recipe import Batch, Phase, Prediction, Recipe
from pipelines.trainer import Hook, Trainer, rate_factor
from tests.adapters.tools import twin
from tests.pipelines.tools import Watch, equal, run

LESSON = Lesson((), (Concept(name="mycat", noun="cat", trigger="zok"),))


def settings(**changes: Any) -> Config:
    return Config(**{"steps": 6, "batch": 2, "learning_rate": 1e-2, "rank": 2, "alpha": 2.0, **changes})


def samples() -> LatentDataset:
    chance = torch.Generator().manual_seed(1)
    latents = torch.randn(5, 4, 8, 8, generator=chance)
    return LatentDataset(latents, Conditioning(torch.randn(3, 6, 24, generator=chance)))


def trainer(host: Host, config: Config, *, seed: int = 0, data: Any = None,
            recipe: Recipe | None = None) -> Trainer:
    torch.manual_seed(seed)
    recipe = recipe or recipe_builder("lora")(host, config, LESSON)
    recipe.adapter.inject(host, "training")
    return Trainer(host, recipe, data or samples(), config, Accelerator(cpu=True, mixed_precision="no"))


# rates


def test_constant_rate_is_1() -> None:
    assert [rate_factor(settings(schedule="constant"), s, 6) for s in range(6)] == [1.0] * 6


def test_linear_rate_falls_by_equal_parts() -> None:
    config = settings(schedule="linear")
    assert [rate_factor(config, s, 4) for s in range(4)] == [1.0, 0.75, 0.5, 0.25]


def test_cosine_rate_is_half_a_wave() -> None:
    factors = [rate_factor(settings(schedule="cosine"), s, 4) for s in range(5)]
    assert factors == pytest.approx([1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0], abs=1e-12)


def test_with_restarts_each_cycle_is_half_a_wave_from_the_peak() -> None:
    config = settings(schedule="cosine_with_restarts", cycles=3)
    wave = [rate_factor(settings(schedule="cosine"), s, 4) for s in range(4)]
    assert [rate_factor(config, s, 12) for s in range(13)] == pytest.approx([*wave * 3, 0], abs=1e-12)


def test_one_cycle_with_restarts_is_the_cosine_and_warmup_is_not_part_of_it() -> None:
    config, cosine = settings(schedule="cosine_with_restarts", cycles=1), settings(schedule="cosine")
    assert [rate_factor(config, s, 7) for s in range(8)] == [rate_factor(cosine, s, 7) for s in range(8)]
    late = settings(schedule="cosine_with_restarts", cycles=2, warmup=3)
    assert [rate_factor(late, s, 11) for s in (3, 7)] == [1.0, 1.0]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "cosine_with_restarts"])
def test_warmup_rises_by_equal_parts_to_the_peak(schedule: Any) -> None:
    config = settings(schedule=schedule, warmup=3)
    assert [rate_factor(config, s, 10) for s in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_a_warmup_longer_than_the_run_never_divides_by_zero() -> None:
    config = settings(warmup=10)
    assert all(0 < rate_factor(config, s, 4) < 1 for s in range(4))
    assert rate_factor(settings(warmup=4), 4, 4) == 1.0


def test_reported_rates_are_those_of_the_schedule(host: Host) -> None:
    config = settings(schedule="linear", warmup=2)
    rates = [e["rate"] for e in run(trainer(host, config)).of("step")]
    assert rates == [rate_factor(config, s, 6) for s in range(6)]


# what a step does


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_prediction_targets_and_snr_by_hand(host: Host, kind: str) -> None:
    host.scheduler = DDIMScheduler.from_config(host.scheduler.config, prediction_type=kind)
    made = trainer(host, settings())
    batch = samples().sample(torch.Generator().manual_seed(0), 2)
    steps, noise = torch.tensor([10, 900]), torch.randn(2, 4, 8, 8)
    found = made.predict(batch, steps, noise)
    noisy = host.scheduler.add_noise(batch.latents, noise, steps)
    with torch.no_grad():
        torch.testing.assert_close(found.predicted, host.unet(noisy, steps, batch.text.states).sample)
    expected = noise if kind == "epsilon" else host.scheduler.get_velocity(batch.latents, noise, steps)
    torch.testing.assert_close(found.target, expected)
    a = host.scheduler.alphas_cumprod[steps]
    torch.testing.assert_close(found.snr, a / (1 - a))


@pytest.mark.parametrize("longest", [0.01, 1e9])
def test_accumulated_batches_are_one_step_along_their_mean_gradient(host: Host, longest: float) -> None:
    """accumulate=2, batch=1: draws, gradient, clipping and AdamW written out by hand."""
    config = settings(steps=1, batch=1, accumulate=2, schedule="constant", max_grad_norm=longest)
    other = trainer(twin(host), config)
    made = trainer(host, config)
    reported = run(made).of("step")[0]
    parameters = other.groups["lora"]
    for p in parameters:
        p.requires_grad_(True)
    chance, losses = torch.Generator().manual_seed(config.seed), []
    for _ in range(2):
        batch = other.samples.sample(chance, 1)
        steps = torch.randint(1000, (1,), generator=chance)
        noise = torch.randn(batch.latents.shape, generator=chance)
        losses.append(other.recipe.objective(other.predict(batch, steps, noise), batch)["denoising"])
    (sum(losses) / 2).backward()
    norm = torch.stack([p.grad.square().sum() for p in parameters]).sum().sqrt()
    assert 0.01 < norm < 1e9
    for p, trained in zip(parameters, made.groups["lora"], strict=True):
        p.grad *= min(1, longest / norm)
        # AdamW's first step is along the sign alone; its mean holds a tenth of the gradient.
        mean = made.optimizer.state[trained]["exp_avg"]
        torch.testing.assert_close(mean, 0.1 * p.grad, rtol=1e-4, atol=1e-8)
    torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay).step()
    assert reported["loss"] == pytest.approx(sum(losses).item() / 2, rel=1e-6)
    for key, value in other.recipe.adapter.state().items():
        torch.testing.assert_close(made.recipe.adapter.state()[key], value, rtol=1e-4, atol=1e-6)


def test_training_lowers_the_loss_on_one_batch(host: Host) -> None:
    """The same picture and words again and again, measured at fixed noise before and after."""
    one = LatentDataset(samples().latents[:1], samples().text[:1])
    made = trainer(host, settings(steps=30, schedule="constant", layers="all"), data=one)
    batch = Batch(one.latents.expand(8, -1, -1, -1), one.text[[0] * 8])
    noise = torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    steps = torch.arange(8) * 120

    @torch.no_grad()
    def loss() -> float:
        return float(made.recipe.objective(made.predict(batch, steps, noise), batch)["denoising"])

    before = loss()
    run(made)
    assert loss() < 0.9 * before


def test_only_the_adapter_changes(host: Host) -> None:
    before = copy.deepcopy({n: c.state_dict() for n, c in host.components.items()})
    vae = copy.deepcopy(host.vae.state_dict())
    made = trainer(host, settings())
    start = made.recipe.adapter.state()
    run(made)
    end = made.recipe.adapter.state()
    assert all(not torch.equal(start[k], end[k]) for k in start)
    made.recipe.adapter.eject()
    for name, network in host.components.items():
        assert equal(network.state_dict(), before[name])
        assert all(p.grad is None for p in network.parameters())
    assert equal(host.vae.state_dict(), vae)


def test_the_same_seed_gives_the_same_adapter_and_another_seed_another(host: Host) -> None:
    runs = [trainer(twin(host), settings(seed=s)) for s in (5, 5, 6)]
    for made in runs:
        run(made)
    states = [made.recipe.adapter.state() for made in runs]
    assert equal(states[0], states[1])
    assert not equal(states[0], states[2])


def test_training_leaves_the_global_chance_alone(host: Host) -> None:
    made = trainer(host, settings())
    state = torch.random.get_rng_state()
    run(made)
    assert torch.equal(torch.random.get_rng_state(), state)


# stop and resume


def test_stop_comes_before_the_next_step(host: Host) -> None:
    made = trainer(host, settings())
    watch = Watch(stop=2)
    assert not made.run(report=watch, control=watch)
    assert [e["step"] for e in watch.of("step")] == [1, 2]
    assert made.step == 2


def test_a_run_that_is_stopped_at_once_changes_nothing(host: Host) -> None:
    made, ran = trainer(host, settings()), []
    before = made.recipe.adapter.state()
    watch = run(made, stop=0, hooks=[Hook(2, ran.append)])
    assert not watch.events and not ran
    assert equal(made.recipe.adapter.state(), before)


def test_a_run_to_the_end_says_so(host: Host) -> None:
    watch = Watch()
    assert trainer(host, settings()).run(report=watch, control=watch)
    assert [(e["step"], e["total"]) for e in watch.of("step")] == [(n, 6) for n in range(1, 7)]


@pytest.mark.parametrize("options", [{}, {"dora": True, "rslora": True, "accumulate": 2, "warmup": 2}])
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_resumed_run_ends_bit_for_bit_as_an_unbroken_one(host: Host, stop: int,
                                                           options: dict[str, Any]) -> None:
    config = settings(**options)
    whole = trainer(twin(host), config)
    losses = [e["loss"] for e in run(whole).of("step")]
    first = trainer(twin(host), config)
    watch = run(first, stop=stop)
    saved = io.BytesIO()
    torch.save(first.state_dict(), saved)
    saved.seek(0)
    second = trainer(host, config, seed=99)
    second.load_state_dict(torch.load(saved, weights_only=True))
    assert second.step == stop
    rest = run(second)
    assert [e["loss"] for e in watch.of("step") + rest.of("step")] == losses
    assert equal(second.recipe.adapter.state(), whole.recipe.adapter.state())


def test_a_state_from_before_the_first_step_starts_anew(host: Host) -> None:
    whole, fresh = trainer(twin(host), settings()), trainer(twin(host), settings())
    again = trainer(host, settings(), seed=99)
    again.load_state_dict(fresh.state_dict())
    run(whole), run(again)
    assert equal(again.recipe.adapter.state(), whole.recipe.adapter.state())


@pytest.mark.parametrize(("stop", "expected"), [
    (None, [2, 4, 6]), (3, [2, 3]), (4, [2, 4]), (5, [2, 4, 5]), (0, []),
])
def test_hooks_run_at_their_steps_and_once_at_the_end(host: Host, stop: int | None,
                                                      expected: list[int]) -> None:
    ran: list[int] = []
    run(trainer(host, settings()), stop, [Hook(2, ran.append)])
    assert ran == expected


def test_a_hook_with_another_rhythm_ends_with_the_run_too(host: Host) -> None:
    ran: list[int] = []
    run(trainer(host, settings()), None, [Hook(4, ran.append)])
    assert ran == [4, 6]


def test_a_hook_that_is_asked_for_runs_once_after_that_step(host: Host) -> None:
    ran, wishes = [], [False, True, False, False, False, False]
    run(trainer(host, settings()), None, [Hook(0, ran.append, lambda: wishes.pop(0))])
    assert ran == [2]


def test_hooks_run_in_their_order_after_the_step_is_reported(host: Host) -> None:
    watch = Watch()
    trainer(host, settings(steps=1)).run(report=watch, control=watch, hooks=[
        Hook(1, lambda s: watch({"type": "first"})), Hook(1, lambda s: watch({"type": "second"}))])
    assert [e["type"] for e in watch.events] == ["phase", "step", "first", "second"]


# phases


def phased(host: Host) -> Recipe:
    recipe = recipe_builder("lora")(host, settings(), LESSON)
    phases = (Phase("learn", 3, {"lora": 1e-2}), Phase("settle", 3, {"lora": 1e-4}))
    return Recipe(recipe.adapter, recipe.objective, phases)


def test_phases_follow_each_other_with_their_own_rates(host: Host) -> None:
    made = trainer(host, settings(), recipe=phased(host))
    assert made.total == 6
    watch = run(made)
    assert [(e["name"], e["step"]) for e in watch.of("phase")] == [("learn", 0), ("settle", 3)]
    assert [g["peak"] for g in made.optimizer.param_groups] == [1e-4]


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_a_run_resumes_exactly_in_before_and_after_a_change_of_phase(host: Host, stop: int) -> None:
    def build(at: Host) -> Trainer:
        torch.manual_seed(0)
        return trainer(at, settings(), recipe=phased(at))

    whole, first, second = build(twin(host)), build(twin(host)), build(host)
    run(whole), run(first, stop=stop)
    second.load_state_dict(first.state_dict())
    run(second)
    assert equal(second.recipe.adapter.state(), whole.recipe.adapter.state())


def test_groups_without_a_rate_stay_frozen(host: Host) -> None:
    recipe = recipe_builder("lora")(host, settings(), LESSON)
    recipe = Recipe(recipe.adapter, recipe.objective, (Phase("a", 1, {"b": 1.0}),))
    made = trainer(host, settings(), recipe=recipe)
    down, up = (made.groups["lora"][n::2] for n in (0, 1))
    made.groups = {"b": up, "frozen": down}
    before = made.recipe.adapter.state()
    run(made)
    after = made.recipe.adapter.state()
    assert all(torch.equal(before[k], after[k]) == ("lora_A" in k) for k in before)


# breakdowns


@dataclass(frozen=True)
class Broken:
    """An objective whose loss or gradient is no number from its third call on."""

    calls: list[int]
    factor: float

    def __call__(self, prediction: Prediction, batch: Batch) -> dict[str, torch.Tensor]:
        self.calls.append(1)
        error = (prediction.predicted - prediction.target).square().mean()
        return {"broken": error * self.factor if len(self.calls) > 2 else error}


class _InfiniteGradient(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(_ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * math.inf


class BrokenGradient(Broken):
    def __call__(self, prediction: Prediction, batch: Batch) -> dict[str, torch.Tensor]:
        loss = super().__call__(prediction, batch)["broken"]
        return {"broken": _InfiniteGradient.apply(loss) if len(self.calls) > 2 else loss}


@pytest.mark.parametrize("objective", [Broken([], math.nan), Broken([], math.inf),
                                       BrokenGradient([], 1.0)])
def test_a_loss_or_gradient_that_is_no_number_stops_with_the_adapter_unharmed(host: Host,
                                                                             objective: Any) -> None:
    recipe = recipe_builder("lora")(host, settings(), LESSON)
    made = trainer(host, settings(), recipe=Recipe(recipe.adapter, objective, recipe.phases))
    watch, kept = Watch(), {}
    with pytest.raises(StudioError, match="broke down at step 3"):
        made.run(report=watch, control=watch,
                 hooks=[Hook(2, lambda s: kept.update(made.recipe.adapter.state()))])
    assert [e["step"] for e in watch.of("step")] == [1, 2]
    assert equal(made.recipe.adapter.state(), kept)
