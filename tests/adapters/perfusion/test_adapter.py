from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from adapters.errors import StudioError
from adapters.files import read_header
from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.lora.adapter import ATTENTION
from adapters.perfusion import PerfusionAdapter
from adapters.perfusion.encoder import encoder_hash
from adapters.perfusion.second_moment import solver, whiten
from adapters.record import AdapterRecord, Concept
from adapters.studio_file import load, save
from pipelines.base_models.skeleton import skeleton
from tests.adapters.perfusion.tools import filled, fresh, moment, superclass
from tests.adapters.tools import answer, learn, same, twin


def test_training_starts_at_the_superclass(host: Host) -> None:
    """i* = e_super, v = C^-1 e_super, o* = W e_super in keys and values, the word at the noun's vector."""
    made, e = fresh(host), superclass(host, "cat")
    state = made.state()
    assert torch.equal(state["i"], e) and torch.equal(state["v"], whiten(solver(moment(), 0.0), e))
    assert torch.equal(state["token.0"], host.text.embedding().weight[host.text.pieces("cat")])
    layers = host.cross_attention()
    assert len(layers) == 8  # keys and values of one down, one middle and two up layers
    for path, module in layers.items():
        assert torch.equal(state[f"target.{path}"], F.linear(e, module.weight))


def test_targets_are_one_vector_a_layer_whatever_the_prompts_length(host: Host) -> None:
    assert all(t.ndim == 1 for k, t in fresh(host).state().items() if k.startswith("target."))


def test_the_key_targets_are_never_trained_in_the_locked_groups(host: Host) -> None:
    made = fresh(host)
    groups = {n: {id(p) for p in g} for n, g in made.groups().items()}
    assert set(groups) == {"tokens", "values", "keys"}
    assert not groups["keys"] & (groups["values"] | groups["tokens"])
    assert len(groups["keys"]) == len(groups["values"]) == 4 and len(groups["tokens"]) == 1


def test_every_value_target_and_the_word_have_a_gradient(host: Host) -> None:
    made = fresh(host)
    made.inject(host, "a")
    parameters = made.groups()["tokens"] + made.groups()["values"]
    for p in parameters:
        p.requires_grad_(True)
    answer(host, "a photo of <mycat>", grad=True)[1].square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in parameters)
    assert all(p.grad is None for n in host.components.values() for p in n.parameters())
    assert all(p.grad is None for p in made.groups()["keys"])


# i*


@pytest.mark.parametrize("micro", [1, 4])
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_i_after_n_steps_of_a_constant_whatever_the_accumulation(host: Host, steps: int, micro: int) -> None:
    """.99^n i0 + (1 - .99^n) x"""
    made, x = fresh(host), torch.full((24,), 3.0)
    made.inject(host, "a")
    start = made.concept.i.clone()
    where = torch.zeros(2, 7, dtype=torch.bool)
    where[0, 2] = where[1, 5] = True
    for _ in range(steps):
        for _ in range(micro):
            states = torch.randn(2, 7, 24)
            states[where] = x
            made.observe(states, where)
        made.stepped()
    expected = 0.99**steps * start + (1 - 0.99**steps) * x
    torch.testing.assert_close(made.concept.i, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(made.concept.v, whiten(solver(moment(), 0.0), made.concept.i))


def test_i_moves_towards_the_mean_of_what_was_seen(host: Host) -> None:
    made = fresh(host)
    made.inject(host, "a")
    start = made.concept.i.clone()
    where = torch.ones(1, 2, dtype=torch.bool)
    made.observe(torch.stack([torch.zeros(24), torch.ones(24)])[None], where)
    made.observe(torch.full((1, 2, 24), 3.5), where)
    made.stepped(decay=0.5)
    torch.testing.assert_close(made.concept.i, 0.5 * start + 0.5 * 2.0)


def test_i_stays_without_something_seen_and_is_not_told_twice(host: Host) -> None:
    made = fresh(host)
    made.inject(host, "a")
    start = made.concept.i.clone()
    made.observe(torch.ones(1, 2, 24), torch.zeros(1, 2, dtype=torch.bool))
    made.stepped()
    assert torch.equal(made.concept.i, start)
    made.observe(torch.ones(1, 2, 24), torch.ones(1, 2, dtype=torch.bool))
    made.stepped()
    moved = made.concept.i.clone()
    made.stepped()
    assert torch.equal(made.concept.i, moved) and not torch.equal(moved, start)


def test_i_keeps_no_graph(host: Host) -> None:
    made = fresh(host)
    made.inject(host, "a")
    made.observe(torch.ones(1, 2, 24, requires_grad=True), torch.ones(1, 2, dtype=torch.bool))
    made.stepped()
    assert not made.concept.i.requires_grad and not made.concept.v.requires_grad


@torch.no_grad()
def test_the_edit_follows_i_at_once(host: Host) -> None:
    """A moved i* forgets W i* and the gates of states that were seen before."""
    made = filled(host)
    made.inject(host, "a")
    states = host.text.encode_prompts(["a <mycat>"]).states
    module = next(iter(host.cross_attention().values()))
    module(states)
    made.observe(torch.ones(1, 2, 24), torch.ones(1, 2, dtype=torch.bool))
    made.stepped(decay=0.5)
    moved = module(states)
    again = PerfusionAdapter.from_file(made.state(), {}, made.spec, "f")
    made.eject()
    again.inject(host, "b")
    assert torch.equal(moved, module(states))


# files


def on_sd1() -> PerfusionAdapter:
    """Random numbers on the shapes of Stable Diffusion 1.5."""
    host = skeleton("sd1")
    d = host.unet.config.cross_attention_dim
    targets = {p: torch.randn(m.weight.shape[0]) for p, m in host.cross_attention().items()}
    return PerfusionAdapter("<mycat>", "cat", (torch.randn(1, d),), torch.randn(d), torch.randn(d), targets)


def test_on_stable_diffusion_1_5_it_is_26496_numbers_and_c_times_i() -> None:
    state = on_sd1().state()
    assert len([k for k in state if k.startswith("target.")]) == 32
    assert sum(t.numel() for k, t in state.items() if k.endswith("to_v")) == 12_480
    assert sum(t.numel() for k, t in state.items() if k != "v") == 26_496
    assert state["v"].numel() == 768
    assert sum(t.numel() * t.element_size() for t in state.values()) == 109_056


def test_on_stable_diffusion_1_5_the_file_is_at_most_128_kib(tmp_path: Path, record: AdapterRecord) -> None:
    made, path = on_sd1(), tmp_path / "a.safetensors"
    whole = record.model_copy(update={
        "kind": "perfusion", "method": "perfusion", "spec": made.spec,
        "concepts": (Concept(name="mycat", noun="cat", trigger="<mycat>", learned=True),),
        "provenance": {"config": {str(n): "x" * 10 for n in range(40)}, "images_sha256": ["0" * 64] * 6}})
    save(path, made, whole)
    assert path.stat().st_size <= 128 * 1024
    assert all(t.dtype == "F32" for t in read_header(path).tensors.values())
    again, _ = load(path)
    assert all(torch.equal(again.state()[k], t) for k, t in made.state().items())


def test_with_another_text_encoder_of_the_same_shape_it_is_refused_in_any_precision(host: Host) -> None:
    made, same_one, other = filled(host), twin(host), twin(host)
    with torch.no_grad():
        next(p for n, p in other.text_encoder.named_parameters() if n.endswith("q_proj.weight")).add_(0.01)
    again = PerfusionAdapter.from_file(made.state(), {}, made.spec, "f")
    assert again.encoder == made.encoder != ""
    with pytest.raises(StudioError, match="another text encoder than the base 'tiny'"):
        again.inject(other, "a")
    again.inject(same_one, "a")  # as it is in the file, and refusing left it free
    again.eject()
    for dtype, told in ((torch.float16, made.encoder), (torch.bfloat16, "")):
        held = twin(host)
        held.text_encoder.to(dtype)
        assert encoder_hash(held) == told
    older = PerfusionAdapter.from_file(made.state(), {}, {k: v for k, v in made.spec.items() if k != "encoder"}, "f")
    older.inject(other, "a")  # its file does not tell
    older.eject()


def test_what_other_adapters_add_to_the_text_encoder_is_not_the_base(host: Host) -> None:
    alone, lora = encoder_hash(twin(host)), LoraAdapter.for_training(host, rank=1, alpha=1, targets=ATTENTION,
                                                                       text_encoder=True)
    lora.inject(host, "lora")
    assert encoder_hash(host) == alone
    lora.eject()


@torch.no_grad()
def test_a_file_gives_every_key_and_value_back_exactly(host: Host, tmp_path: Path, record: AdapterRecord) -> None:
    made, other = filled(host), twin(host)
    save(tmp_path / "a.safetensors", made, record.model_copy(update={"kind": "perfusion", "spec": made.spec}))
    again, _ = load(tmp_path / "a.safetensors")
    made.inject(host, "a")
    again.inject(other, "a")
    states = host.text.encode_prompts(["a <mycat> on the beach"]).states
    assert torch.equal(states, other.text.encode_prompts(["a <mycat> on the beach"]).states)
    for (path, one), two in zip(host.cross_attention().items(), other.cross_attention().values(), strict=True):
        assert torch.equal(one(states), two(states)), path


def test_bias_and_temperature_as_trained_are_in_the_file_and_the_dials(host: Host) -> None:
    made = fresh(host, bias=0.6, temperature=0.2)
    again = PerfusionAdapter.from_file(made.state(), {}, made.spec, "f")
    assert (again.concept.bias, again.concept.temperature) == (0.6, 0.2)
    assert again.dials()["bias"].default == 0.6 and again.dials()["temperature"].default == 0.2
    again.set_dial("bias", 0.3)
    assert again.spec == made.spec


@pytest.mark.parametrize("lost", ["i", "v", "token.0", "a target"])
def test_a_file_that_is_not_whole_is_refused(host: Host, lost: str) -> None:
    made = fresh(host)
    tensors = {k: t for k, t in made.state().items()
               if k != lost and not (lost == "a target" and k.startswith("target."))}
    with pytest.raises(StudioError, match="'f' is no whole Perfusion concept"):
        PerfusionAdapter.from_file(tensors, {}, made.spec, "f")


@pytest.mark.parametrize("change", [{"bias": "x"}, {"word": None}, {"temperature": 0}])
def test_a_damaged_header_is_refused(host: Host, change: dict[str, object]) -> None:
    made = fresh(host)
    spec = {k: v for k, v in {**made.spec, **change}.items() if v is not None}
    with pytest.raises(StudioError, match="'f'"):
        PerfusionAdapter.from_file(made.state(), {}, spec, "f")


# dials


@pytest.mark.parametrize(("name", "value"), [("bias", 9.0), ("temperature", 0.0), ("locking", "no"), ("hue", 1.0),
                                             ("branches", "none"), ("bias", "x")])
def test_a_dial_out_of_range_is_refused_and_nothing_turns(host: Host, name: str, value: float | str) -> None:
    made = filled(host)
    made.inject(host, "a")
    before = answer(host, "<mycat>")
    with pytest.raises(StudioError):
        made.set_dial(name, value)
    assert same(answer(host, "<mycat>"), before)


@pytest.mark.parametrize(("name", "value"), [("bias", 0.3), ("temperature", 0.9)])
def test_a_dial_turns_the_picture_and_back(host: Host, name: str, value: float) -> None:
    made = filled(host)
    made.inject(host, "a")
    before = answer(host, "<mycat>")
    made.set_dial(name, value)
    assert not same(answer(host, "<mycat>"), before)
    made.set_dial(name, made.dials()[name].default)
    assert same(answer(host, "<mycat>"), before)


@pytest.mark.parametrize("prompt", ["a <mycat> on the beach", "a photo of a cat", ""])
def test_strength_0_is_the_base_bit_for_bit(host: Host, prompt: str) -> None:
    made = filled(host)
    words, base = made.state(), answer(host, prompt)
    made.inject(host, "a")
    made.set_strength(0)
    states, painted = answer(host, prompt)
    assert words.keys() == made.state().keys()
    if "<mycat>" not in prompt:
        assert same((states, painted), base)
    made.eject()
    host.text.add_word("<mycat>", made.groups()["tokens"])
    assert same(answer(host, prompt), (states, painted))


def test_a_refused_twin_leaves_neither_word_nor_edit(host: Host) -> None:
    filled(host, "<a>").inject(host, "a")
    before = answer(host, "<a> and <b>")
    with pytest.raises(StudioError, match="too much alike"):
        filled(host, "<b>").inject(host, "b")
    assert host.text.words == ("<a>",) and same(answer(host, "<a> and <b>"), before)


def test_learned_numbers_stay_in_an_ejected_adapter(host: Host) -> None:
    made = fresh(host)
    made.inject(host, "a")
    learn(made, host, "a <mycat>")
    state, painted = made.state(), answer(host, "a <mycat>")
    made.eject()
    assert all(torch.equal(state[k], t) for k, t in made.state().items())
    made.inject(twin(host), "b")
    made.eject()
    made.inject(host, "c")
    assert same(answer(host, "a <mycat>"), painted)
