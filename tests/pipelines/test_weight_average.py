"""The running average: its formula, that training does not feel it, and who gets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.host import Host
from adapters.studio_file import load
from pipelines.generator import Generator
from pipelines.methods.common import resolve
from pipelines.methods.lora.config import Config
from pipelines.methods.perfusion.config import Config as Perfusion
from pipelines.run_config import RunConfig
from pipelines.trainer import Trainer
from pipelines.training import ADAPTER_FILE, RESUME_FILE, train_run
from pipelines.weight_average import WeightAverage
from tests.adapters.tools import twin
from tests.pipelines.tools import LEFT, Watch, begin, equal, image, lesson, run, unbroken_and_resumed


def settings(**changes: Any) -> Config:
    return Config(**{"steps": 6, "batch": 2, "learning_rate": 1e-2, "rank": 2, "alpha": 2.0, "ema": 0.6, **changes})


def states(made: Trainer) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """As trained, and averaged."""
    with made.averaged():
        mean = made.recipe.adapter.state()
    return made.recipe.adapter.state(), mean


@pytest.mark.parametrize("decay", [0.15, 0.9])
def test_the_average_by_hand(decay: float) -> None:
    """The warm-up of (1 + n) / (10 + n), and the decay itself from where that is smaller."""
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    average, expected = WeightAverage([p], decay), p.detach().double()
    for n in range(12):
        with torch.no_grad():
            p += n
        d = min(decay, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * p.detach().double()
        average.update()
    raw = p.detach().clone()
    with average.in_place():
        torch.testing.assert_close(p.detach().double(), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(p.detach(), raw)


def test_weights_come_back_when_the_block_fails() -> None:
    p = torch.nn.Parameter(torch.ones(2))
    average = WeightAverage([p], 0.5)
    with torch.no_grad():
        p.zero_()
    with pytest.raises(KeyError), average.in_place():
        assert torch.equal(p.detach(), torch.ones(2))
        raise KeyError
    assert torch.equal(p.detach(), torch.zeros(2))


def test_it_costs_one_copy_of_what_is_trained_also_in_use() -> None:
    p = torch.nn.Parameter(torch.ones(5))
    average = WeightAverage([p], 0.5)
    own = {p.data_ptr(), *(m.data_ptr() for m in average._means)}
    with average.in_place():
        assert {p.data_ptr(), *(m.data_ptr() for m in average._means)} == own and len(own) == 2


def test_training_goes_on_with_the_weights_themselves(host: Host) -> None:
    """With and without an average, looked at after every step or never, the weights are the same."""
    plain, averaged = begin(twin(host), settings(ema=None), lesson("a")), begin(host, settings(), lesson("a"))
    losses = [e["loss"] for e in run(plain).of("step")]
    seen: list[float] = []

    def report(event: dict[str, Any]) -> None:
        if event["type"] == "step":
            seen.append(event["loss"])
            states(averaged)

    averaged.run(report=report, control=Watch())
    assert seen == losses
    raw, mean = states(averaged)
    assert equal(raw, plain.recipe.adapter.state()) and not any(torch.equal(raw[k], mean[k]) for k in raw)


@pytest.mark.parametrize("stop", [1, 4])
def test_a_resumed_average_is_that_of_an_unbroken_run_bit_for_bit(host: Host, stop: int) -> None:
    for a, b in zip(*map(states, unbroken_and_resumed(host, settings(), lesson("a"), stop)), strict=True):
        assert equal(a, b)


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_with_phases_each_averages_what_it_trains_and_resumes(host: Host, stop: int) -> None:
    """Pivotal tuning: the word is fixed after half of the run as it was left, beside which the LoRA is averaged."""
    config = settings(word=True, word_rate=1e-2)
    whole, resumed = unbroken_and_resumed(host, config, lesson("a"), stop)
    for a, b in zip(states(whole), states(resumed), strict=True):
        assert equal(a, b)
    assert whole.average and len(whole.average._means) == len(whole.groups["lora"])
    raw, mean = states(whole)
    assert {k.partition("/")[0] for k in raw if torch.equal(raw[k], mean[k])} == {"words"}
    half = begin(host, config, lesson("a"))
    run(half, stop=3)
    raw_at_half, mean_at_half = states(half)
    assert torch.equal(raw_at_half["words/<a>.0"], raw["words/<a>.0"])
    assert not torch.equal(mean_at_half["words/<a>.0"], raw_at_half["words/<a>.0"])


def test_perfusions_own_average_of_the_concept_is_left_alone(host: Host) -> None:
    config = Perfusion(steps=4, batch=2, learning_rate=0.03, word_rate=0.01, ridge=1e-2, captions=100, ema=0.6)
    taught = lesson("a", masks=[LEFT])
    plain, averaged = (begin(twin(host), c, taught) for c in (config.model_copy(update={"ema": None}), config))
    run(plain), run(averaged)
    raw, mean = states(averaged)
    assert equal(raw, plain.recipe.adapter.state())
    assert torch.equal(raw["i"], mean["i"]) and torch.equal(raw["v"], mean["v"])
    trained = [k for k in raw if k.startswith("token.") or k.endswith("to_v")]
    assert trained and not any(torch.equal(raw[k], mean[k]) for k in trained)


def test_files_and_previews_get_the_average_and_resuming_the_weights(tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole run on the starter: checkpoints, previews and the adapter file."""
    painted: list[dict[str, torch.Tensor]] = []
    paint = Generator.paint

    def watched(self: Generator, *arguments: Any) -> Any:
        modules = dict(self.host.unet.named_parameters())
        painted.append({n: p.detach().clone() for n, p in modules.items() if ".lora_B." in n})
        return paint(self, *arguments)

    monkeypatch.setattr(Generator, "paint", watched)
    (tmp_path / "references").mkdir()
    image(side=128).save(tmp_path / "references" / "0.png")
    training = resolve("lora", "starter", steps=3, batch=1, rank=2, alpha=2, ema=0.5, preview_every=2, preview_steps=1,
                       checkpoint_every=2, layers="attention", learning_rate=1e-2, precision="fp32")
    RunConfig(name="mycat", class_noun="cat", base="starter", training=training).save(tmp_path)
    path = train_run(tmp_path, report=lambda event: None, control=Watch())
    assert path == tmp_path / ADAPTER_FILE
    kept = torch.load(tmp_path / RESUME_FILE, weights_only=True)
    raw, means = kept["adapter"], dict(zip(kept["adapter"], kept["average"]["means"], strict=True))
    saved = [load(p)[0].weights() for p in (path, *sorted((tmp_path / "checkpoints").iterdir())[-1:])]  # type: ignore[attr-defined]
    for weights in saved:
        for layer, module in weights.modules.items():
            assert torch.equal(module.up, means[f"{layer}.lora_B.weight"])
            assert not torch.equal(module.up, raw[f"{layer}.lora_B.weight"])
    last = painted[-1]
    assert len(painted) == 6 and last
    for name, weight in last.items():
        layer = "unet." + name.replace(".adapter_trained.weight", ".weight")
        assert torch.equal(weight, means[layer])
