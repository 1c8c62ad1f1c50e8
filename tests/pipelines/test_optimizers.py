"""Every optimizer in the loop: what its step is, that it resumes exactly, and what is refused."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

import pipelines.trainer
from adapters.errors import StudioError
from adapters.host import Host
from pipelines import extras
from pipelines.methods.lora.config import Config
from pipelines.optimizers import build_optimizer, check_rates, effective_rates
from pipelines.recipe import Batch, Prediction, Recipe
from pipelines.trainer import Trainer
from tests.adapters.tools import twin
from tests.pipelines.tools import begin, equal, lesson, run, unbroken_and_resumed

CPU = torch.device("cpu")
PACKAGES = {"adamw": "torch", "adafactor": "transformers", "adamw8bit": "bitsandbytes", "prodigy": "prodigyopt"}
RATES = {"adamw": 1e-2, "adamw8bit": 1e-2, "adafactor": 1e-2, "prodigy": 1.0}


@pytest.fixture(params=list(PACKAGES))
def kind(request: Any) -> Any:
    pytest.importorskip(PACKAGES[request.param])
    return request.param


def settings(kind: Any, **changes: Any) -> Config:
    """Of a rank at which matrices have more than 4096 numbers, which is where 8 bits begin."""
    return Config(**{"steps": 6, "batch": 2, "learning_rate": RATES[kind], "rank": 128, "alpha": 16.0,
                     "optimizer": kind, **changes})


def build(kind: Any, *parameters: torch.nn.Parameter, rate: float = 0.1, decay: float = 0.0) -> Any:
    return build_optimizer(kind, [{"params": list(parameters), "lr": rate, "peak": rate}], weight_decay=decay,
                           device=CPU)


def parameter(*shape: int, scale: float = 1.0) -> torch.nn.Parameter:
    return torch.nn.Parameter(scale * torch.randn(*shape, generator=torch.Generator().manual_seed(0)))


def moved(kind: Any, p: torch.nn.Parameter, grad: torch.Tensor, steps: int = 1, **options: Any) -> torch.Tensor:
    """How far the last of `steps` steps along one gradient went."""
    optimizer = build(kind, p, **options)
    for _ in range(steps):
        before = p.detach().clone()
        p.grad = grad.clone()
        optimizer.step()
    return p.detach() - before


# what they are


def test_adamw_runs_are_torchs_own_bit_for_bit(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings("adamw", weight_decay=0.1)
    ours, plain = (begin(twin(host), config, lesson("a")) for _ in range(2))
    run(ours)
    monkeypatch.setattr(pipelines.trainer, "build_optimizer", lambda _kind, groups, **_: torch.optim.AdamW(
        groups, weight_decay=0.1, fused=True))
    run(plain)
    assert equal(ours.recipe.adapter.state(), plain.recipe.adapter.state())


def test_adafactors_first_step_by_hand() -> None:
    """Shazeer and Stern, algorithm 4 at t = 1, where beta2 is 0; the update is clipped to a mean square of 1."""
    p, grad = parameter(6, 5), torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    square = grad.double().square()
    estimate = torch.outer(square.mean(1), square.mean(0)) / square.mean()
    update = grad.double() / estimate.sqrt()
    update /= max(1.0, float(update.square().mean().sqrt()))
    torch.testing.assert_close(moved("adafactor", p, grad).double(), -0.1 * update, rtol=1e-4, atol=1e-6)


def test_adafactors_rate_is_fixed_whatever_the_weights_size_and_the_step() -> None:
    grad = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    first = moved("adafactor", parameter(6, 5), grad)
    torch.testing.assert_close(moved("adafactor", parameter(6, 5, scale=100), grad), first, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(moved("adafactor", parameter(6, 5), grad, steps=50), first, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(moved("adafactor", parameter(6, 5), grad, rate=0.2), 2 * first, rtol=1e-3, atol=1e-4)


def test_eight_bit_adamw_holds_large_moments_in_8_bits_and_moves_like_adamw() -> None:
    pytest.importorskip("bitsandbytes")
    grad = torch.randn(128, 64, generator=torch.Generator().manual_seed(1))
    whole, eight = parameter(128, 64), parameter(128, 64)
    near, exact = moved("adamw8bit", eight, grad, steps=5), moved("adamw", whole, grad, steps=5)
    assert float((near - exact).norm() / exact.norm()) < 0.15
    optimizer = build("adamw8bit", large := parameter(128, 64), small := parameter(10))
    large.grad, small.grad = torch.ones_like(large), torch.ones_like(small)
    optimizer.step()
    assert optimizer.state[large]["state1"].dtype == torch.uint8
    assert optimizer.state[small]["state1"].dtype == torch.float32


def test_prodigy_finds_a_step_size_of_which_the_rate_is_a_factor() -> None:
    pytest.importorskip("prodigyopt")
    p = parameter(20)
    optimizer = build("prodigy", p, rate=1.0)
    goal, found = p.detach() + 3.0, []
    for _ in range(200):
        p.grad = (p.detach() - goal).sign()
        optimizer.step()
        found.append(effective_rates(optimizer, ["a"])["a"])
    assert found[0] < 1e-4 and found == sorted(found) and 0.01 < found[-1] < 10
    optimizer.param_groups[0]["lr"] = 0.5
    assert effective_rates(optimizer, ["a"])["a"] == pytest.approx(found[-1] / 2)


def test_prodigy_says_nothing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("prodigyopt")
    build("prodigy", parameter(2), rate=1.0, decay=0.1)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_weight_decay_is_decoupled_in_all(kind: Any, decay: float) -> None:
    """With no gradient but on another weight, a weight shrinks by rate x decay (Prodigy: x d) and by nothing else."""
    p, other = parameter(4, 4), parameter(4, 4)
    optimizer = build(kind, p, other, rate=RATES[kind], decay=decay)
    start = p.detach().clone()
    p.grad, other.grad = torch.zeros_like(p), torch.ones_like(p)
    d = float(optimizer.param_groups[0].get("d", 1.0))
    optimizer.step()
    corrected = (1 - 0.999) ** 0.5 / (1 - 0.9) if kind == "prodigy" else 1.0
    torch.testing.assert_close(p.detach(), start * (1 - RATES[kind] * decay * d * corrected), rtol=1e-6, atol=1e-7)


def test_it_learns(host: Host, kind: Any) -> None:
    """Measured on one picture at fixed noise, before and after; Prodigy takes a while to find its step size."""
    steps = 150 if kind == "prodigy" else 40
    made = begin(host, settings(kind, steps=steps, schedule="constant", layers="all"), lesson("a"))
    batch = made.samples.sample(torch.Generator().manual_seed(0), 8)
    noise = torch.randn(batch.latents.shape, generator=torch.Generator().manual_seed(2))

    @torch.no_grad()
    def loss() -> float:
        return float(made.recipe.objective(made.predict(batch, torch.arange(8) * 120, noise), batch)["denoising"])

    before = loss()
    run(made)
    assert loss() < 0.9 * before


# the loop


@pytest.mark.parametrize("stop", [1, 4])
def test_a_resumed_run_ends_bit_for_bit_as_an_unbroken_one(host: Host, kind: Any, stop: int) -> None:
    whole, resumed = unbroken_and_resumed(host, settings(kind, warmup=2, accumulate=2), lesson("a"), stop)
    assert equal(whole.recipe.adapter.state(), resumed.recipe.adapter.state())


class OnceInfinite:
    """An objective whose gradient overflows at its second call; its loss never does."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, prediction: Prediction, batch: Batch) -> dict[str, torch.Tensor]:
        self.calls += 1
        loss = (prediction.predicted - prediction.target).square().mean()
        if self.calls == 2:
            loss.register_hook(lambda grad: grad * math.inf)
        return {"denoising": loss}


def scaled(made: Trainer, scale: float = 1024.0) -> Trainer:
    """As in fp16: gradients are scaled, and a step whose gradients overflow is left out."""
    made.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return made


def test_scaled_gradients_give_the_same_run(host: Host, kind: Any) -> None:
    plain, with_scaler = (begin(twin(host), settings(kind), lesson("a")) for _ in range(2))
    run(plain), run(scaled(with_scaler))
    assert equal(plain.recipe.adapter.state(), with_scaler.recipe.adapter.state())


def test_a_step_that_overflows_is_left_out_and_the_run_goes_on(host: Host, kind: Any) -> None:
    made = scaled(begin(host, settings(kind, steps=3), lesson("a")))
    made.recipe = Recipe(made.recipe.adapter, OnceInfinite(), made.recipe.phases)
    states, seen = [made.recipe.adapter.state()], []

    def report(event: dict[str, Any]) -> None:
        if event["type"] == "step":
            states.append(made.recipe.adapter.state())
            seen.append(made.accelerator.scaler.get_scale())

    class Never:
        def stop_requested(self) -> bool:
            return False

    made.run(report=report, control=Never())
    assert [equal(a, b) for a, b in itertools.pairwise(states)] == [False, True, False]
    assert seen == [1024.0, 512.0, 512.0]


# refusals


@pytest.mark.parametrize("kind", ["adamw8bit", "prodigy"])
def test_a_missing_package_is_named_with_its_command(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    package = PACKAGES[kind]
    with pytest.raises(StudioError, match=f"'{kind}' needs the package '{package}'.*pip install {package}$"):
        build(kind, parameter(2), rate=1.0)


def test_prodigy_refuses_groups_of_unlike_rates() -> None:
    pytest.importorskip("prodigyopt")
    groups = [{"params": [parameter(2)], "lr": rate} for rate in (1.0, 0.5)]
    with pytest.raises(StudioError, match=r"one learning rate.* found 1, 0.5;"):
        build_optimizer("prodigy", groups, weight_decay=0.0, device=CPU)
    check_rates("adamw", {"a": 1.0, "b": 0.5})
    check_rates("prodigy", {"a": 0.5, "b": 0.5})


def test_prodigy_moves_several_groups_of_one_rate(host: Host) -> None:
    pytest.importorskip("prodigyopt")
    config = settings("prodigy", word=True, word_rate=1.0, steps=4)
    made = begin(host, config, lesson("a"))
    before = made.recipe.adapter.state()
    run(made)
    assert all(not torch.equal(before[k], v) for k, v in made.recipe.adapter.state().items())


def test_effective_rates_are_named_by_group(host: Host) -> None:
    made = begin(host, settings("adamw", schedule="linear", word=True, word_rate=0.5, learning_rate=0.25, steps=4),
                 lesson("a"))
    run(made, stop=2)
    assert made.rates() == {"tokens": 0.25, "lora": 0.125}
    run(made, stop=1)
    assert made.rates() == {"lora": 0.25}
