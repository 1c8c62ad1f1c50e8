"""What every kind of adapter promises: the base as it was, the same numbers from state and file, clear refusals."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.bundle import BundleAdapter
from adapters.errors import StudioError
from adapters.full import FullAdapter
from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.lora.adapter import ATTENTION, CONVOLUTIONS
from adapters.record import AdapterRecord
from adapters.studio_file import KINDS, StoredAdapter, load, save
from adapters.tokens import TokensAdapter
from tests.adapters.perfusion import tools as perfusion
from tests.adapters.tools import anatomy, answer, learn, same, twin, wider

Make = Callable[[Host, str], Any]


def lora(host: Host, _word: str, **options: bool) -> LoraAdapter:
    return LoraAdapter.for_training(host, rank=2, alpha=3, targets=(*ATTENTION, *CONVOLUTIONS), text_encoder=True,
                                    **options)


def tokens(host: Host, word: str) -> TokensAdapter:
    return TokensAdapter.for_training(host, {word: "cat"}, vectors=2)


MAKE: dict[str, Make] = {
    "lora": lora,
    "rslora": lambda host, word: lora(host, word, rslora=True),
    "dora": lambda host, word: lora(host, word, dora=True),
    "tokens": tokens,
    "perfusion": lambda host, word: perfusion.fresh(host, word, "dog" if word == "<b>" else "cat"),
    "full": lambda host, word: FullAdapter(),
    "words and lora": lambda host, word: BundleAdapter({"words": tokens(host, word), "lora": lora(host, word)}),
    "words and all": lambda host, word: BundleAdapter({"words": tokens(host, word), "tuned": FullAdapter()}),
}
EVERY = pytest.mark.parametrize("kind", MAKE)
PROMPTS = ("a photo of a cat", "a photo of <a> and <b>", "")


def outputs(host: Host) -> tuple[torch.Tensor, ...]:
    return tuple(t for p in PROMPTS for t in answer(host, p))


_LEARNED: dict[tuple[str, str], Any] = {}  # every test's host is a copy of the same base


def learned(host: Host, kind: str, word: str = "<a>") -> Any:
    """Trained for a few steps on a host of its own, and taken out."""
    if (kind, word) not in _LEARNED:
        torch.manual_seed(0)
        other = twin(host)
        made = MAKE[kind](other, word)
        made.inject(other, "training")
        learn(made, other, f"a photo of {word}")
        made.eject()
        _LEARNED[kind, word] = made
    return copy.deepcopy(_LEARNED[kind, word])


def record_of(record: AdapterRecord, adapter: StoredAdapter) -> AdapterRecord:
    return record.model_copy(update={"kind": adapter.kind, "spec": adapter.spec})


def test_every_kind_of_the_studio_is_here(host: Host) -> None:
    assert {MAKE[k](host, "<a>").kind for k in MAKE} == set(KINDS)


@EVERY
@pytest.mark.parametrize("trained", [False, True])
def test_in_and_out_leaves_the_host_bit_for_bit(host: Host, kind: str, trained: bool) -> None:
    tree, before = anatomy(host), outputs(host)
    made = MAKE[kind](host, "<a>")
    assert anatomy(host) == tree
    for name in ("first", "second.time"):
        made.inject(host, name)
        if trained:
            learn(made, host, "a photo of <a>")
            assert not same(outputs(host), before)
        made.eject()
        assert anatomy(host) == tree and same(outputs(host), before)
    made.eject()
    assert anatomy(host) == tree


@EVERY
def test_what_was_learned_comes_back_with_the_adapter(host: Host, kind: str) -> None:
    made = MAKE[kind](host, "<a>")
    made.inject(host, "a")
    learn(made, host, "a photo of <a>")
    state, found = made.state(), outputs(host)
    made.eject()
    made.inject(host, "b")
    assert same(outputs(host), found)
    assert state.keys() == made.state().keys() and all(torch.equal(state[k], t) for k, t in made.state().items())


@pytest.mark.parametrize("kind", ["lora", "rslora", "perfusion", "full", "words and lora", "words and all"])
def test_strength_0_is_the_base_and_1_as_trained(host: Host, kind: str) -> None:
    """For prompts without the learned word, which has no strength."""
    plain = ("a photo of a cat", "")
    before = [answer(host, p) for p in plain]
    made = learned(host, kind)
    made.inject(host, "a")
    trained = [answer(host, p) for p in plain]
    assert not same(trained[0], before[0])
    made.set_strength(0)
    assert all(same(answer(host, p), b) for p, b in zip(plain, before, strict=True))
    made.set_strength(1)
    assert all(same(answer(host, p), t) for p, t in zip(plain, trained, strict=True))


@EVERY
def test_a_state_brings_a_fresh_adapter_to_the_same_bits(host: Host, kind: str) -> None:
    made, other = learned(host, kind), twin(host)
    made.inject(host, "a")
    fresh = MAKE[kind](other, "<a>")
    fresh.inject(other, "b")
    assert not same(outputs(other), outputs(host))
    fresh.load_state(made.state())
    assert same(outputs(other), outputs(host))


@EVERY
def test_the_state_is_a_copy(host: Host, kind: str) -> None:
    made = learned(host, kind)
    made.inject(host, "a")
    found = outputs(host)
    for tensor in made.state().values():
        assert tensor.device.type == "cpu" and not tensor.requires_grad
        tensor.zero_()
    assert same(outputs(host), found)


@pytest.mark.parametrize("kind", [k for k in MAKE if k not in ("full", "words and all")])
def test_a_file_says_the_same_bit_for_bit(host: Host, kind: str, tmp_path: Path, record: AdapterRecord) -> None:
    made, other = learned(host, kind), twin(host)
    save(tmp_path / "a.safetensors", made, record_of(record, made))
    again, read = load(tmp_path / "a.safetensors")
    assert read.kind == made.kind and again.spec == made.spec
    made.inject(host, "a")
    again.inject(other, "a")
    assert same(outputs(other), outputs(host))


@pytest.mark.parametrize("kind", ["full", "words and all"])
def test_a_full_file_says_the_same_in_half_precision(host: Host, kind: str, tmp_path: Path,
                                                     record: AdapterRecord) -> None:
    made, other = learned(host, kind), twin(host)
    save(tmp_path / "a.safetensors", made, record_of(record, made))
    again, _ = load(tmp_path / "a.safetensors")
    made.inject(host, "a")
    again.inject(other, "a")
    for name, tensor in again.state().items():
        exact = made.state()[name]
        assert torch.equal(tensor, exact if name.startswith("words/") else exact.half().float())
    for one, two in zip(outputs(host), outputs(other), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-2, atol=1e-2)


PAIRS = [pair for pair in permutations(MAKE, 2)
         if not ({"full", "words and all"} >= set(pair)) and "rslora" not in pair and "dora" not in pair]


@pytest.mark.parametrize(("first", "second"), [*PAIRS, ("lora", "dora"), ("perfusion", "perfusion"),
                                               ("tokens", "tokens"), ("lora", "lora")])
def test_two_compose_and_come_out_last_first(host: Host, first: str, second: str) -> None:
    tree, before = anatomy(host), outputs(host)
    one, two = learned(host, first, "<a>"), learned(host, second, "<b>")
    one.inject(host, "one")
    alone, with_one = outputs(host), anatomy(host)
    two.inject(host, "two")
    assert not same(outputs(host), alone)
    two.eject()
    assert same(outputs(host), alone) and anatomy(host) == with_one
    one.eject()
    assert same(outputs(host), before) and anatomy(host) == tree


def test_three_come_out_in_the_reverse_of_any_order(host: Host) -> None:
    tree, before = anatomy(host), outputs(host)
    made = [learned(host, k, w) for k, w in (("lora", "<c>"), ("perfusion", "<a>"), ("words and lora", "<b>"))]
    for order in permutations(made):
        for n, adapter in enumerate(order):
            adapter.inject(host, f"a{n}")
        for adapter in reversed(order):
            adapter.eject()
        assert anatomy(host) == tree and same(outputs(host), before)


@EVERY
def test_another_base_is_refused_and_left_alone_and_the_right_one_still_fits(host: Host, kind: str) -> None:
    made, wrong = learned(host, kind), wider(host)
    tree, before = anatomy(wrong), outputs(wrong)
    with pytest.raises(StudioError, match="choose the base"):
        made.inject(wrong, "a")
    assert anatomy(wrong) == tree and same(outputs(wrong), before)
    base = outputs(host)
    made.inject(host, "a")
    assert not same(outputs(host), base)


@EVERY
def test_a_state_of_another_kind_is_refused(host: Host, kind: str) -> None:
    made = learned(host, kind)
    made.inject(host, "a")
    found = outputs(host)
    with pytest.raises(StudioError):
        made.load_state({"something": torch.zeros(1)})
    assert same(outputs(host), found)


@EVERY
def test_a_dial_it_does_not_have_is_refused(host: Host, kind: str) -> None:
    with pytest.raises(StudioError, match="no 'hue' to turn"):
        MAKE[kind](host, "<a>").set_dial("hue", 1.0)
