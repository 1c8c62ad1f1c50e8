from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adapters.errors import StudioError
from adapters.full import FullAdapter
from adapters.host import Host
from adapters.record import AdapterRecord
from adapters.studio_file import load, save
from tests.adapters.lora.tools import filled
from tests.adapters.tools import anatomy, answer, learn, same, twin, wider

Weights = dict[str, torch.Tensor]


def weights(host: Host) -> Weights:
    """A copy of every weight, by full name."""
    return {f"{part}.{n}": p.detach().clone() for part, c in host.components.items() for n, p in c.named_parameters()}


def moved(host: Host) -> Weights:
    chance = torch.Generator().manual_seed(4)
    return {n: w + 0.05 * torch.randn(w.shape, generator=chance) for n, w in weights(host).items()}


def equal(a: Weights, b: Weights) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_fresh_one_changes_no_bit_and_holds_the_hosts_weights(host: Host) -> None:
    base, own, made = answer(host), weights(host), FullAdapter()
    made.inject(host, "a")
    assert same(answer(host), base) and equal(made.state(), own)


def test_it_stands_in_for_every_weight_of_denoiser_and_text_encoder(host: Host) -> None:
    tuned = moved(host)
    made = FullAdapter(tuned)
    made.inject(host, "a")
    assert equal(weights(host), tuned) and list(made.groups()) == ["weights"]
    assert {id(p) for p in made.groups()["weights"]} == {id(p) for c in host.components.values()
                                                          for p in c.parameters()}


def test_training_never_touches_the_hosts_own_tensors(host: Host) -> None:
    base, tree, made = answer(host), anatomy(host), FullAdapter()
    made.inject(host, "a")
    learn(made, host, "a cat")
    assert not same(answer(host), base)
    made.eject()
    assert anatomy(host) == tree and same(answer(host), base)


def test_what_was_given_is_never_changed(host: Host) -> None:
    given = moved(host)
    copy = {k: v.clone() for k, v in given.items()}
    made = FullAdapter(given)
    made.inject(host, "a")
    learn(made, host, "a cat", steps=1)
    made.eject()
    assert equal(given, copy)


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_strength_goes_from_the_bases_weights_to_the_tuned_ones(host: Host, strength: float) -> None:
    own, tuned = weights(host), moved(host)
    made = FullAdapter(tuned)
    made.inject(host, "a")
    made.set_strength(strength)
    found = weights(host)
    if strength in (0, 1):
        assert equal(found, tuned if strength else own)
    for n, w in found.items():
        torch.testing.assert_close(w, own[n] + strength * (tuned[n] - own[n]))


def test_the_state_is_the_tuned_one_whatever_the_strength(host: Host) -> None:
    tuned = moved(host)
    made = FullAdapter(tuned)
    made.inject(host, "a")
    made.set_strength(0.3)
    assert equal(made.state(), tuned)
    made.eject()
    assert equal(made.state(), tuned)


@pytest.mark.parametrize("given", [False, True])
def test_strength_keeps_what_was_learned_since_it_was_last_turned(host: Host, given: bool) -> None:
    made = FullAdapter(moved(host) if given else None)
    made.inject(host, "a")
    for _ in range(2):
        learn(made, host, "a cat", steps=1)
        learned = weights(host)
        made.set_strength(0)
        made.set_strength(1)
        assert equal(weights(host), learned)


def test_a_loaded_state_is_at_strength_1(host: Host) -> None:
    tuned, made = moved(host), FullAdapter()
    made.inject(host, "a")
    made.set_strength(0.5)
    made.load_state(tuned)
    assert equal(weights(host), tuned) and equal(made.state(), tuned)


def test_two_cannot_be_in_at_once(host: Host) -> None:
    first = FullAdapter()
    first.inject(host, "a")
    with pytest.raises(StudioError, match="Two fully tuned models cannot be used at once"):
        FullAdapter().inject(host, "b")
    first.eject()
    FullAdapter().inject(host, "b")


@pytest.mark.parametrize("fault", ["missing", "more", "shape"])
def test_weights_of_another_base_are_refused_and_nothing_changes(host: Host, fault: str) -> None:
    tuned, tree = moved(host), anatomy(host)
    name = "unet.conv_in.weight"
    if fault == "missing":
        del tuned[name]
    elif fault == "more":
        tuned["unet.more"] = torch.zeros(1)
    else:
        tuned[name] = tuned[name][:1]
    with pytest.raises(StudioError, match="not for this base"):
        FullAdapter(tuned).inject(host, "a")
    assert anatomy(host) == tree
    made = FullAdapter()
    made.inject(host, "a")
    before = answer(host)
    with pytest.raises(StudioError, match="do not fit"):
        made.load_state(tuned)
    assert same(answer(host), before)


def test_a_wider_base_is_refused(host: Host) -> None:
    with pytest.raises(StudioError, match="has another shape"):
        FullAdapter(moved(host)).inject(wider(host), "a")


def test_it_fits_a_host_with_a_lora_in(host: Host) -> None:
    tuned = moved(host)
    lora = filled(host)
    lora.inject(host, "lora")
    one = answer(host)
    made = FullAdapter(tuned)
    made.inject(host, "full")
    assert made.state().keys() == tuned.keys() and not same(answer(host), one)
    made.eject()
    assert same(answer(host), one)


def test_the_file_holds_half_precision_of_every_weight(host: Host, tmp_path: Path, record: AdapterRecord) -> None:
    tuned = moved(host)
    made = FullAdapter(tuned)
    save(tmp_path / "a.safetensors", made, record.model_copy(update={"kind": "full", "spec": made.spec}))
    again, _ = load(tmp_path / "a.safetensors")
    again.inject(twin(host), "a")
    assert equal(again.state(), {n: w.half().float() for n, w in tuned.items()})


def test_a_file_without_a_denoiser_is_refused() -> None:
    with pytest.raises(StudioError, match="'f' holds no denoiser weights"):
        FullAdapter.from_file({"text_encoder.x": torch.zeros(1)}, {}, {}, "f")
