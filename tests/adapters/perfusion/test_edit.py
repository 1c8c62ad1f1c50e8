from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from adapters.errors import StudioError
from adapters.host import Host
from adapters.perfusion import edit
from adapters.perfusion.edit import Concept, Editor, check_apart, gates
from adapters.perfusion.second_moment import SecondMoment, solver, whiten
from tests.adapters.perfusion.tools import filled, moment
from tests.adapters.tools import answer, same

KEY = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
VALUE = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v"
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def concept(host: Host, seed: int = 0, c: torch.Tensor | None = None, scale: float = 1.0, **dials: float) -> Concept:
    """i* random, v = C^-1 i*, targets random in every layer."""
    i = scale * random(24, seed=seed + 100)
    targets = {path: random(m.weight.shape[0], seed=seed + 200 + n)
               for n, (path, m) in enumerate(host.cross_attention().items())}
    v = whiten(solver(moment() if c is None else c, 0.0), i)
    return Concept(f"<w{seed}>", f"noun{seed}", i, v, targets, **dials)


def layer(host: Host, path: str = KEY) -> nn.Linear:
    found: nn.Linear = host.unet.get_submodule(path)
    return found


@pytest.fixture
def states() -> torch.Tensor:
    """[B, T, d]"""
    return random(3, 7, 24, seed=1)


@pytest.fixture
def gate_is_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate replaced by r."""
    def same_twice(states: torch.Tensor, concepts: list[Concept],
                   *, orthogonal: bool) -> tuple[torch.Tensor, torch.Tensor]:
        removal, _ = gates(states, concepts)
        return removal, removal

    monkeypatch.setattr(edit, "gates", same_twice)


@pytest.fixture
def gate_is_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_wide(states: torch.Tensor, concepts: list[Concept],
                   *, orthogonal: bool) -> tuple[torch.Tensor, torch.Tensor]:
        removal, gate = gates(states, concepts)
        return removal, torch.ones_like(gate)

    monkeypatch.setattr(edit, "gates", open_wide)


@pytest.fixture
def perpendicular(host: Host) -> Iterator[nn.Linear]:
    """A layer whose first 24 outputs are its input, so that without targets it says e_perp."""
    made = layer(host)
    made.weight.data = torch.eye(*made.weight.shape)
    yield made


def without_targets(c: Concept) -> Concept:
    c.targets = {path: torch.zeros_like(t) for path, t in c.targets.items()}
    return c


# equation 3


def test_what_is_left_has_no_share_of_the_concept(host: Host, states: torch.Tensor, perpendicular: nn.Linear) -> None:
    """i*^T C^-1 (e - r i*) = 0"""
    c = without_targets(concept(host))
    Editor.of(host).add(c)
    left = perpendicular(states)[..., :24]
    assert not torch.allclose(left, states)
    torch.testing.assert_close(left.double() @ torch.linalg.solve(moment(), c.i.double()),
                               torch.zeros(3, 7, dtype=torch.float64), rtol=0, atol=2e-4)


@pytest.mark.parametrize("path", [KEY, VALUE])
def test_with_the_gate_replaced_by_r_it_is_the_explicit_rank_1_matrix(host: Host, states: torch.Tensor, path: str,
                                                                    gate_is_removal: None) -> None:
    """W + (o* - W i*) v^T / E"""
    c, w = concept(host), layer(host, path).weight
    Editor.of(host).add(c)
    explicit = w + torch.outer(c.targets[path] - w @ c.i, c.v) / (c.i @ c.v)
    torch.testing.assert_close(layer(host, path)(states), states @ explicit.T, **CLOSE)


def test_a_target_that_is_w_i_with_gate_r_changes_nothing(host: Host, states: torch.Tensor,
                                                         gate_is_removal: None) -> None:
    base = layer(host)(states)
    c = concept(host)
    c.targets = {path: F.linear(c.i, m.weight) for path, m in host.cross_attention().items()}
    Editor.of(host).add(c)
    torch.testing.assert_close(layer(host)(states), base, **CLOSE)


@pytest.mark.parametrize(("bias", "temperature"), [(0.75, 0.1), (0.6, 0.15), (0.4, 1.0)])
def test_the_concept_itself_gives_its_gated_target(host: Host, bias: float, temperature: float) -> None:
    """e = i*: h = sigmoid((1 - beta) / tau) o*"""
    c = concept(host, bias=bias, temperature=temperature)
    Editor.of(host).add(c)
    gate = torch.sigmoid(torch.tensor((1 - bias) / temperature))
    torch.testing.assert_close(layer(host, VALUE)(c.i[None, None])[0, 0], gate * c.targets[VALUE], **CLOSE)


def test_the_gates_of_the_published_settings(host: Host) -> None:
    c = concept(host)
    orthogonal = random(24, seed=9)
    orthogonal -= (orthogonal @ c.v) / (c.i @ c.v) * c.i
    removal, gate = gates(torch.stack([c.i, orthogonal])[None], [c])
    torch.testing.assert_close(removal.flatten(), torch.tensor([1.0, 0.0]), rtol=0, atol=1e-5)
    torch.testing.assert_close(gate.flatten(), torch.tensor([0.92414, 0.00055]), rtol=0, atol=1e-5)


def test_a_locked_key_at_gate_1_is_that_of_the_superclass(host: Host, gate_is_1: None) -> None:
    """e = i* = e_super, gate 1: K = W_K e_super."""
    made = filled(host)
    made.inject(host, "a")
    i = made.concept.i
    for path, module in host.cross_attention().items():
        if path.endswith("to_k"):
            torch.testing.assert_close(module(i[None, None])[0, 0], F.linear(i, module.weight), **CLOSE)


def test_a_token_without_the_concept_gets_only_the_closed_gate(host: Host) -> None:
    """e . v = 0: h = W e + sigmoid(-beta / tau) o*"""
    c = concept(host, temperature=0.5)
    e = random(24, seed=9)
    e = e - (e @ c.v) / (c.v @ c.v) * c.v
    base = layer(host)(e[None, None])
    Editor.of(host).add(c)
    expected = base + torch.sigmoid(torch.tensor(-0.75 / 0.5)) * c.targets[KEY]
    torch.testing.assert_close(layer(host)(e[None, None]), expected, **CLOSE)


@pytest.mark.parametrize("factor", [0.125, 1000.0])
def test_a_factor_on_c_changes_nothing(host: Host, states: torch.Tensor, factor: float) -> None:
    found = [gates(states, [concept(host, n, c) for n in (0, 1)]) for c in (moment(), factor * moment())]
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


@pytest.mark.parametrize("factor", [0.25, 8.0])
def test_a_factor_on_i_divides_r_and_leaves_the_rest(host: Host, states: torch.Tensor, perpendicular: nn.Linear,
                                                    factor: float) -> None:
    one, scaled = without_targets(concept(host)), without_targets(concept(host, scale=factor))
    torch.testing.assert_close(gates(states, [scaled])[0] * factor, gates(states, [one])[0], **CLOSE)
    left = []
    for c in (one, scaled):
        Editor.of(host).add(c)
        left.append(perpendicular(states))
        Editor.of(host).remove(c, host)
    torch.testing.assert_close(left[1], left[0], **CLOSE)


# equation 4


def spelled_out(states: torch.Tensor, w: torch.Tensor, concepts: list[Concept], path: str) -> torch.Tensor:
    """Equation 4 in fp64 through Cholesky and QR: i and e in the coordinates in which C is the identity."""
    factor = torch.linalg.cholesky(moment())
    white = torch.linalg.solve_triangular(factor, torch.stack([c.i.double() for c in concepts], 1), upper=False)
    e = torch.linalg.solve_triangular(factor, states.double().flatten(0, 1).T, upper=False)
    q, _ = torch.linalg.qr(white)
    left = (factor @ (e - q @ (q.T @ e))).T
    found = left @ w.double().T
    for n, c in enumerate(concepts):
        share = (e.T @ white[:, n]) / (white[:, n] @ white[:, n])
        found += torch.sigmoid((share - c.bias) / c.temperature)[:, None] * c.targets[path].double()
    return found.view(*states.shape[:2], -1)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("path", [KEY, VALUE])
def test_the_gram_form_is_the_cholesky_and_qr_form(host: Host, states: torch.Tensor, count: int, path: str) -> None:
    concepts = [concept(host, n, bias=0.5 + 0.1 * n, temperature=0.1 + 0.2 * n) for n in range(count)]
    for c in concepts:
        Editor.of(host).add(c)
    expected = spelled_out(states, layer(host, path).weight, concepts, path)
    torch.testing.assert_close(layer(host, path)(states).double(), expected, rtol=1e-3, atol=1e-4)


def test_one_concept_is_equation_3(host: Host, states: torch.Tensor) -> None:
    c, w = concept(host), layer(host).weight
    r = (states @ c.v) / (c.i @ c.v)
    Editor.of(host).add(c)
    expected = ((states - r[..., None] * c.i) @ w.T
                + torch.sigmoid((r - 0.75) / 0.1)[..., None] * c.targets[KEY])
    torch.testing.assert_close(layer(host)(states), expected, **CLOSE)


def test_the_order_of_concepts_does_not_matter(host: Host, states: torch.Tensor) -> None:
    found = []
    for order in permutations([concept(host, n) for n in range(3)]):
        for c in order:
            Editor.of(host).add(c)
        found.append(layer(host)(states))
        for c in order:
            Editor.of(host).remove(c, host)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], **CLOSE)


def test_removing_one_concept_leaves_the_other_as_it_was_alone(host: Host, states: torch.Tensor) -> None:
    one, two = concept(host, 0), concept(host, 1)
    Editor.of(host).add(one)
    alone = layer(host)(states)
    Editor.of(host).add(two)
    assert not torch.allclose(layer(host)(states), alone)
    Editor.of(host).remove(two, host)
    assert torch.equal(layer(host)(states), alone)


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0])
def test_concepts_that_point_one_way_are_refused_and_both_named(host: Host, factor: float) -> None:
    one, two = concept(host, 0), concept(host, 0, scale=factor)
    two.word = "<other>"
    Editor.of(host).add(one)
    with pytest.raises(StudioError, match="'<w0>' and '<other>' are too much alike"):
        Editor.of(host).add(two)
    assert Editor.of(host).concepts == [one]


def test_concepts_that_only_share_a_part_are_let_in(host: Host) -> None:
    check_apart([concept(host, n) for n in range(4)])


# strength, branches, precision


def test_strength_scales_the_change(host: Host, states: torch.Tensor) -> None:
    base, c = layer(host)(states), concept(host)
    Editor.of(host).add(c)
    whole = layer(host)(states) - base
    c.strength = 0.5
    torch.testing.assert_close(layer(host)(states) - base, whole / 2, **CLOSE)
    c.strength = 0
    assert torch.equal(layer(host)(states), base)


@torch.no_grad()
def test_turning_one_of_two_off_is_seen_for_the_same_states(host: Host, states: torch.Tensor) -> None:
    first, second = filled(host, "<a>", "cat"), filled(host, "<b>", "dog", seed=1)
    first.inject(host, "a")
    alone = layer(host)(states)
    second.inject(host, "b")
    assert not torch.allclose(layer(host)(states), alone)
    second.set_strength(0)
    assert torch.equal(layer(host)(states), alone)


def test_a_lower_bias_lets_more_of_the_target_through(host: Host, states: torch.Tensor) -> None:
    open_by = [float(gates(states, [concept(host, bias=b)])[1].mean()) for b in (0.9, 0.75, 0.6, 0.4)]
    assert open_by == sorted(open_by) and open_by[0] < open_by[-1]


@torch.no_grad()
def test_the_negative_branch_can_be_left_alone(host: Host) -> None:
    e = random(4, 7, 24)  # two negative, then two prompts
    base = layer(host)(e)
    made = filled(host)
    made.inject(host, "a")
    made.on_prompt(host, "a <mycat>", "", True)
    both = layer(host)(e)
    made.set_dial("branches", "prompt")
    found = layer(host)(e)
    assert torch.equal(found[:2], base[:2]) and torch.equal(found[2:], both[2:])
    assert not torch.allclose(both[:2], base[:2])


def test_the_edit_is_computed_in_full_precision_under_autocast(host: Host, states: torch.Tensor) -> None:
    c = concept(host)
    layer(host, VALUE).weight.data.zero_()
    Editor.of(host).add(c)
    exact = layer(host, VALUE)(states)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(host, VALUE)(states)
    assert found.dtype == torch.bfloat16 and torch.equal(found, exact.bfloat16())


def test_gradients_reach_states_and_targets_but_never_the_concepts_own_direction(host: Host,
                                                                               states: torch.Tensor) -> None:
    c = concept(host)
    c.targets = {path: t.requires_grad_() for path, t in c.targets.items()}
    Editor.of(host).add(c)
    states.requires_grad_()
    layer(host, VALUE)(states).square().sum().backward()
    assert states.grad is not None and states.grad.any()
    assert c.targets[VALUE].grad is not None and c.targets[VALUE].grad.any()
    assert not c.i.requires_grad and not c.v.requires_grad and layer(host, VALUE).weight.grad is None


def test_the_gradient_of_the_states_is_that_of_equation_3(host: Host, states: torch.Tensor) -> None:
    c, w = concept(host, temperature=0.5), layer(host).weight
    given, mine = states.clone().requires_grad_(), states.clone().requires_grad_()
    r = (mine @ c.v) / (c.i @ c.v)
    expected = ((mine - r[..., None] * c.i) @ w.T
                + torch.sigmoid((r - 0.75) / 0.5)[..., None] * c.targets[KEY])
    Editor.of(host).add(c)
    weights = random(*expected.shape, seed=4)
    (layer(host)(given) * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(given.grad, mine.grad, rtol=1e-3, atol=1e-4)


# global key locking


@torch.no_grad()
def test_global_locking_takes_all_keys_from_the_superclass_prompt_and_leaves_the_values(host: Host) -> None:
    made = filled(host)
    made.inject(host, "a")
    text = host.text.encode_prompts(["a red", "a <mycat> on the beach"]).states
    values = layer(host, VALUE)(text)
    made.set_dial("locking", "global")
    made.on_prompt(host, "a <mycat> on the beach", "a red", True)
    plain = host.text.encode_prompts(["a red", "a cat on the beach"]).states
    assert torch.equal(layer(host)(text), F.linear(plain, layer(host).weight))
    assert torch.equal(layer(host, VALUE)(text), values)
    made.set_dial("locking", "local")
    made.on_prompt(host, "a <mycat> on the beach", "a red", True)
    assert not torch.allclose(layer(host)(text), F.linear(plain, layer(host).weight))


@torch.no_grad()
def test_locked_keys_serve_every_picture_of_a_batch(host: Host) -> None:
    made = filled(host)
    made.inject(host, "a")
    made.set_dial("locking", "global")
    made.on_prompt(host, "a <mycat>", "", True)
    text = host.text.encode_prompts(["", "", "a <mycat>", "a <mycat>"]).states
    keys = layer(host)(text)
    assert torch.equal(keys[0], keys[1]) and torch.equal(keys[2], keys[3]) and not torch.equal(keys[0], keys[2])


@torch.no_grad()
def test_locked_keys_go_with_the_concept_that_locked_them(host: Host) -> None:
    stays, locks = filled(host, "<a>", "cat"), filled(host, "<b>", "dog", seed=1)
    stays.inject(host, "a")
    alone = answer(host, "<a>")
    locks.inject(host, "b")
    locks.set_dial("locking", "global")
    locks.on_prompt(host, "<a> and <b>", "", False)
    locks.eject()
    assert same(answer(host, "<a>"), alone)


# C


def test_c_taken_in_pieces_is_that_of_all_at_once() -> None:
    states, padding = random(10, 7, 24), torch.rand(10, 7, generator=torch.Generator().manual_seed(2)) < 0.4
    pieces = SecondMoment(24)
    for part in (slice(0, 3), slice(3, 4), slice(4, 10)):
        pieces.add(states[part], padding[part])
    kept = states[~padding].double()
    torch.testing.assert_close(pieces.matrix(), kept.T @ kept / len(kept), rtol=1e-12, atol=1e-14)
    assert torch.equal(pieces.matrix(), pieces.matrix().T)


def test_padding_does_not_change_c() -> None:
    states, padding = random(4, 7, 24), torch.zeros(4, 7, dtype=torch.bool)
    padding[:, 4:] = True
    one, two, three = SecondMoment(24), SecondMoment(24), SecondMoment(24)
    one.add(states, padding)
    two.add(torch.where(padding[..., None], 1e6, states), padding)
    three.add(states[:, :4], padding[:, :4])
    assert torch.equal(one.matrix(), two.matrix()) and torch.equal(one.matrix(), three.matrix())


def test_whiten_solves_c_in_double_precision() -> None:
    i = random(24)
    v = whiten(solver(moment(), 0.0), i)
    assert v.dtype == torch.float32 and torch.equal(v, torch.linalg.solve(moment(), i.double()).float())


def test_the_ridge_is_in_parts_of_the_mean_eigenvalue() -> None:
    factor = solver(moment(), 0.1)
    expected = moment() + 0.1 * torch.linalg.eigvalsh(moment()).mean() * torch.eye(24, dtype=torch.float64)
    torch.testing.assert_close(factor @ factor.T, expected, rtol=1e-10, atol=1e-12)


def test_statistics_of_too_few_directions_are_refused_without_a_ridge() -> None:
    flat = torch.outer(torch.ones(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64))
    for matrix in (flat, flat + 1e-14 * torch.eye(4, dtype=torch.float64)):
        with pytest.raises(RuntimeError):
            solver(matrix, 0.0)
        solver(matrix, 1e-3)


@torch.no_grad()
def test_locked_keys_are_those_of_the_weighted_prompt_in_its_chunks(host: Host) -> None:
    made = filled(host)
    made.inject(host, "a")
    made.set_dial("locking", "global")
    made.on_prompt(host, "a (<mycat>:1.3) BREAK on the beach", "", True)
    tokens = host.text.tokenize_weighted(["", "a (cat:1.3) BREAK on the beach"])
    assert torch.equal(layer(host)(host.text.encode(tokens).states),
                       F.linear(host.text.encode(tokens).states, layer(host).weight))
