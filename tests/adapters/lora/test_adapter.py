from __future__ import annotations

from itertools import permutations

import pytest
import torch

from adapters.errors import StudioError
from adapters.host import Host
from adapters.lora import LoraAdapter, LoraModule, LoraWeights
from adapters.lora.adapter import ATTENTION, CONVOLUTIONS, FEED_FORWARD
from adapters.record import AdapterRecord
from adapters.studio_file import load, save
from tests.adapters.lora.tools import (
    CONV,
    KEY,
    MIXED,
    QUERY,
    TEXT,
    filled,
    layer,
    output,
    random_weights,
    same,
    text_states,
)


def fresh(host: Host, **options: bool) -> LoraAdapter:
    targets = (*ATTENTION, *CONVOLUTIONS)
    return LoraAdapter.for_training(host, rank=4, alpha=2, targets=targets, **options)


@pytest.mark.parametrize("rslora", [False, True])
def test_a_fresh_lora_changes_no_bit(host: Host, rslora: bool) -> None:
    before = output(host)
    fresh(host, rslora=rslora).inject(host, "a")
    assert torch.equal(output(host), before)


def test_a_fresh_dora_changes_nothing_but_rounding(host: Host) -> None:
    before = output(host)
    fresh(host, dora=True).inject(host, "a")
    torch.testing.assert_close(output(host), before, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"rslora": True}, {"dora": True}])
def test_eject_restores_the_tree_the_modules_and_every_bit(host: Host, options: dict[str, bool]) -> None:
    trees, before = [repr(n) for n in host.components.values()], output(host)
    modules = {n: id(m) for net in host.components.values() for n, m in net.named_modules()}
    attributes = [set(vars(n)) for n in host.components.values()]
    adapter = filled(host, **options)
    adapter.inject(host, "a")
    assert not torch.equal(output(host), before)
    adapter.eject()
    assert [repr(n) for n in host.components.values()] == trees
    assert {n: id(m) for net in host.components.values() for n, m in net.named_modules()} == modules
    assert [set(vars(n)) for n in host.components.values()] == attributes
    assert torch.equal(output(host), before)


def test_eject_of_an_adapter_that_is_not_in_does_nothing(host: Host) -> None:
    filled(host).eject()


def test_ejected_adapter_can_be_injected_again_with_the_same_result(host: Host) -> None:
    adapter = filled(host)
    adapter.inject(host, "a")
    first = output(host)
    adapter.eject()
    adapter.inject(host, "b")
    assert torch.equal(output(host), first)


def test_a_trained_adapter_keeps_what_it_learned_when_ejected(host: Host) -> None:
    adapter = fresh(host)
    adapter.inject(host, "a")
    with torch.no_grad():
        for p in adapter.groups()["lora"]:
            p.fill_(0.1)
    state, with_it = adapter.state(), output(host)
    adapter.eject()
    adapter.inject(host, "b")
    assert torch.equal(output(host), with_it)
    assert all(torch.equal(state[k], v) for k, v in adapter.state().items())


@pytest.mark.parametrize("first_out", [0, 1])
def test_two_adapters_come_out_in_either_order(host: Host, first_out: int) -> None:
    base, tree = output(host), repr(host.components)
    adapters = [filled(host, seed=1), filled(host, {QUERY: (2, 2.0), TEXT: (1, 1.0)}, seed=2)]
    alone = []
    for adapter in adapters:
        adapter.inject(host, "alone")
        alone.append(output(host))
        adapter.eject()
    for number, adapter in enumerate(adapters):
        adapter.inject(host, f"a{number}")
    both = output(host)
    assert not torch.equal(both, alone[0]) and not torch.equal(both, alone[1])
    adapters[first_out].eject()
    assert torch.equal(output(host), alone[1 - first_out])
    adapters[1 - first_out].eject()
    assert torch.equal(output(host), base)
    assert repr(host.components) == tree


def test_two_adapters_add_up(host: Host) -> None:
    """On one linear layer the effect of both is the sum of each."""
    x = torch.randn(3, layer(host, QUERY).in_features)
    base, effects = layer(host, QUERY)(x), []
    adapters = [filled(host, {QUERY: (2, 1.0)}, seed=n) for n in (1, 2)]
    for n, adapter in enumerate(adapters):
        adapter.inject(host, f"a{n}")
        effects.append(layer(host, QUERY)(x))
    expected = base + x @ sum(a.weights().modules[QUERY].delta() for a in adapters).T
    torch.testing.assert_close(effects[1], expected)


def test_names_that_begin_alike_do_not_share_parameters(host: Host) -> None:
    one, two = filled(host, seed=1), filled(host, seed=2)
    one.inject(host, "cat")
    two.inject(host, "cat2")
    mine, other = ({id(p) for p in a.groups()["lora"]} for a in (one, two))
    assert len(mine) == len(other) == 2 * len(MIXED)
    assert not mine & other


@pytest.mark.parametrize("name", ["lora_", "my_lora_A_1", "weight", "default", "training", "a.b"])
def test_any_name_goes_in_and_out(host: Host, name: str) -> None:
    base, adapter = output(host), filled(host)
    adapter.inject(host, name)
    assert len(adapter.state()) == 2 * len(MIXED)
    assert not torch.equal(output(host), base)
    adapter.eject()
    assert torch.equal(output(host), base)


def test_a_name_that_is_in_already_is_refused_and_the_first_one_stays(host: Host) -> None:
    first, second = filled(host, seed=1), filled(host, seed=2)
    first.inject(host, "a")
    before = output(host)
    with pytest.raises(RuntimeError, match="in this host already"):
        second.inject(host, "a")
    assert torch.equal(output(host), before)


@pytest.mark.parametrize("options", [{}, {"rslora": True}, {"dora": True}])
def test_strength_0_is_the_base(host: Host, options: dict[str, bool]) -> None:
    base, adapter = output(host), filled(host, **options)
    adapter.inject(host, "a")
    adapter.set_strength(0)
    torch.testing.assert_close(output(host), base, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"rslora": True}, {"dora": True}])
def test_strength_1_is_as_trained_again(host: Host, options: dict[str, bool]) -> None:
    adapter = filled(host, **options)
    adapter.inject(host, "a")
    trained = output(host)
    for strength in (0.3, 0, 2, 1):
        adapter.set_strength(strength)
    assert torch.equal(output(host), trained)


@pytest.mark.parametrize("strength", [-1, 0.25, 1, 3])
@pytest.mark.parametrize("name", [QUERY, CONV])
def test_strength_scales_the_change_of_a_layer(host: Host, name: str, strength: float) -> None:
    weight = layer(host, name).weight
    x = torch.randn(2, weight.shape[1], *[6] * (weight.ndim - 2))
    base, adapter = layer(host, name)(x), filled(host)
    adapter.inject(host, "a")
    change = layer(host, name)(x) - base
    adapter.set_strength(strength)
    torch.testing.assert_close(layer(host, name)(x) - base, strength * change, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"dora": True}])
def test_state_does_not_depend_on_the_strength(host: Host, options: dict[str, bool]) -> None:
    adapter = filled(host, **options)
    adapter.inject(host, "a")
    state = adapter.state()
    adapter.set_strength(0.3)
    assert all(torch.equal(v, state[k]) for k, v in adapter.state().items())


@pytest.mark.parametrize(("rslora", "scale"), [(False, 3 / 4), (True, 3 / 2)])
def test_the_layer_is_changed_by_scale_times_up_times_down(host: Host, rslora: bool,
                                                           scale: float) -> None:
    adapter = filled(host, {QUERY: (4, 3.0)}, rslora=rslora)
    module = adapter.weights().modules[QUERY]
    x = torch.randn(2, layer(host, QUERY).in_features)
    base = layer(host, QUERY)(x)
    adapter.inject(host, "a")
    torch.testing.assert_close(layer(host, QUERY)(x), base + scale * x @ module.down.T @ module.up.T)


@pytest.mark.parametrize("name", [QUERY, CONV])
def test_dora_is_magnitude_times_unit_rows(host: Host, name: str) -> None:
    """m * (W + sBA) / |W + sBA| by rows (Liu et al., eq. 5)."""
    adapter, base = filled(host, dora=True), layer(host, name)
    module = adapter.weights().modules[name]
    x = torch.randn(2, base.weight.shape[1], *[6] * (base.weight.ndim - 2))
    rows = (base.weight + module.delta()).flatten(1)
    weight = (module.magnitude[:, None] * rows / rows.norm(dim=1, keepdim=True)).view_as(base.weight)
    expected = (torch.nn.functional.conv2d(x, weight, base.bias, padding=1) if name == CONV
                else torch.nn.functional.linear(x, weight, base.bias))
    adapter.inject(host, "a")
    torch.testing.assert_close(layer(host, name)(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("dora", [False, True])
def test_studio_file_keeps_tensors_ranks_alphas_and_output(host: Host, record: AdapterRecord, tmp_path,
                                                           rslora: bool, dora: bool) -> None:
    adapter = filled(host, rslora=rslora, dora=dora)
    save(tmp_path / "a.safetensors", adapter, record)
    read, again = load(tmp_path / "a.safetensors")
    assert again == record
    assert isinstance(read, LoraAdapter) and read.layers == MIXED
    assert same(read.weights(), adapter.weights())
    adapter.inject(host, "a")
    written = output(host)
    adapter.eject()
    read.inject(host, "b")
    assert torch.equal(output(host), written)


def test_weights_of_an_injected_adapter_are_those_it_was_made_of(host: Host) -> None:
    for dora in (False, True):
        weights = random_weights(host, MIXED, dora=dora)
        adapter = LoraAdapter.from_weights(weights)
        adapter.inject(host, "a")
        assert same(adapter.weights(), weights)
        adapter.eject()


def test_layers_with_and_without_rslora_keep_their_scales(host: Host) -> None:
    weights = LoraWeights({**random_weights(host, {QUERY: (4, 2.0)}).modules,
                           **random_weights(host, {KEY: (4, 2.0)}, rslora=True).modules})
    held = LoraAdapter.from_weights(weights).weights()
    for name in (QUERY, KEY):
        torch.testing.assert_close(held.modules[name].delta(), weights.modules[name].delta())


def test_training_targets_choose_the_layers_by_their_ending(host: Host) -> None:
    attention = LoraAdapter.for_training(host, rank=1, alpha=1, targets=ATTENTION).layers
    every = LoraAdapter.for_training(host, rank=1, alpha=1,
                                     targets=(*ATTENTION, *FEED_FORWARD, *CONVOLUTIONS)).layers
    assert {QUERY, KEY} <= set(attention) and CONV not in attention
    assert all(".attn" in n for n in attention)
    blocks = sum(n.endswith("attn1") for n, _ in host.unet.named_modules())
    assert len(attention) == 2 * 4 * blocks
    assert CONV in every and set(attention) < set(every)


def test_targets_that_match_nothing_are_refused(host: Host) -> None:
    with pytest.raises(StudioError, match="no layer named to_nothing"):
        LoraAdapter.for_training(host, rank=4, alpha=4, targets=["to_nothing"])


def test_a_layer_that_the_base_has_not_is_refused_and_nothing_stays_in(host: Host) -> None:
    tree = repr(host.components)
    with pytest.raises(StudioError, match=r"no layer 'unet.nowhere.to_q'"):
        LoraAdapter({QUERY: (2, 2.0), "unet.nowhere.to_q": (2, 2.0)}).inject(host, "a")
    assert repr(host.components) == tree


@pytest.mark.parametrize(("name", "down", "up", "message"), [
    ("unet.nowhere.to_q", (2, 32), (32, 2), "another base.*no such layer at 'unet.nowhere.to_q'"),
    (QUERY, (2, 320), (320, 2), "another base"),
    (CONV, (2, 16, 1, 1), (16, 2, 1, 1), "another base"),
])
def test_weights_of_another_base_are_refused_and_nothing_stays_in(
        host: Host, name: str, down: tuple[int, ...], up: tuple[int, ...], message: str) -> None:
    tree = repr(host.components)
    weights = LoraWeights({name: LoraModule(torch.zeros(down), torch.zeros(up), 2.0)})
    with pytest.raises(StudioError, match=message):
        LoraAdapter.from_weights(weights).inject(host, "a")
    assert repr(host.components) == tree


def test_dora_on_some_layers_only_is_refused_and_nothing_stays_in(host: Host) -> None:
    tree = repr(host.components)
    some = {**random_weights(host, {QUERY: (2, 2.0)}, dora=True).modules,
            **random_weights(host, {KEY: (2, 2.0)}).modules}
    with pytest.raises(StudioError, match="DoRA on some"):
        LoraAdapter.from_weights(LoraWeights(some)).inject(host, "a")
    assert repr(host.components) == tree


def test_weights_without_layers_are_refused(host: Host) -> None:
    with pytest.raises(StudioError, match="no LoRA layers"):
        LoraWeights({}).check_fits(host, "empty.safetensors")


def test_state_of_other_layers_is_refused(host: Host) -> None:
    adapter = filled(host, {QUERY: (2, 2.0)})
    adapter.inject(host, "a")
    state = adapter.state()
    state.pop(f"{QUERY}.lora_B.weight")
    with pytest.raises(StudioError, match=f"at '{QUERY}.lora_B.weight'"):
        adapter.load_state(state)


def test_only_the_adapter_is_ever_trainable(host: Host) -> None:
    fresh(host).inject(host, "a")
    assert not any(p.requires_grad for net in host.components.values() for p in net.parameters())


def test_the_text_encoder_is_adapted_too(host: Host) -> None:
    before = text_states(host)
    filled(host, {TEXT: (2, 2.0)}).inject(host, "a")
    assert not torch.equal(text_states(host), before)


def test_every_permutation_of_three_adapters_comes_out_clean(host: Host) -> None:
    base = output(host)
    for order in permutations(range(3)):
        adapters = [filled(host, {QUERY: (n + 1, 1.0), TEXT: (1, n + 1.0)}, seed=n) for n in range(3)]
        for n, adapter in enumerate(adapters):
            adapter.inject(host, f"a{n}")
        for n in order:
            adapters[n].eject()
        assert torch.equal(output(host), base)
