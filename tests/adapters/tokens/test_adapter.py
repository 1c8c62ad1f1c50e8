from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adapters.errors import StudioError
from adapters.host import Host
from adapters.record import AdapterRecord
from adapters.studio_file import load, save
from adapters.tokens import TokensAdapter
from tests.adapters.tools import anatomy, answer, learn, same, twin


def table(host: Host) -> torch.Tensor:
    return host.text.embedding().weight.detach()


def test_a_word_starts_at_its_initialisers_vector(host: Host) -> None:
    made = TokensAdapter.for_training(host, {"<mycat>": "cat"})
    assert torch.equal(made.vectors()["<mycat>"][0], table(host)[host.text.pieces("cat")])


def test_an_initialiser_of_several_tokens_gives_their_mean(host: Host) -> None:
    ids = host.text.pieces("zok")
    assert len(ids) == 2
    made = TokensAdapter.for_training(host, {"<mycat>": "zok"})
    torch.testing.assert_close(made.vectors()["<mycat>"][0][0], table(host)[ids].mean(0))


def test_a_fresh_word_says_what_its_initialiser_says(host: Host) -> None:
    before = answer(host, "a photo of cat")
    TokensAdapter.for_training(host, {"<mycat>": "cat"}).inject(host, "a")
    assert same(answer(host, "a photo of <mycat>"), before)


def test_further_vectors_start_beside_the_first_and_differ(host: Host) -> None:
    found = TokensAdapter.for_training(host, {"<mycat>": "cat"}, vectors=4).vectors()["<mycat>"][0]
    assert found.shape == (4, 24)
    assert torch.equal(found[0], table(host)[host.text.pieces("cat")[0]])
    apart = (found[1:] - found[0]).std() / table(host).std()
    assert 0.005 < apart < 0.02
    assert len({tuple(r.tolist()) for r in found}) == 4


def test_an_initialiser_without_letters_is_refused(host: Host) -> None:
    with pytest.raises(StudioError, match="has no letters to start '<mycat>' from"):
        TokensAdapter.for_training(host, {"<mycat>": " "})


def test_only_the_k_rows_change(host: Host) -> None:
    made = TokensAdapter.for_training(host, {"<a>": "cat", "<b>": "dog"}, vectors=2)
    tree = anatomy(host)
    start = made.state()
    made.inject(host, "a")
    assert [p.shape for p in made.groups()["tokens"]] == [(2, 24), (2, 24)] and list(made.groups()) == ["tokens"]
    learn(made, host, "a photo of <a>")
    end = made.state()
    assert (end["<a>.0"] != start["<a>.0"]).any(1).all() and torch.equal(end["<b>.0"], start["<b>.0"])
    made.eject()
    assert anatomy(host) == tree


def test_all_words_come_in_or_none(host: Host) -> None:
    TokensAdapter({"<b>": [torch.zeros(1, 24)]}).inject(host, "first")
    tree = anatomy(host)
    with pytest.raises(StudioError, match="'<b>' is in use"):
        TokensAdapter({"<a>": [torch.ones(1, 24)], "<b>": [torch.ones(1, 24)]}).inject(host, "second")
    assert anatomy(host) == tree


def test_the_vectors_given_are_copied(host: Host) -> None:
    given = torch.ones(1, 24)
    made = TokensAdapter({"<a>": [given]})
    given.zero_()
    state = made.state()
    state["<a>.0"].zero_()
    assert made.state()["<a>.0"].eq(1).all()


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0])
def test_strength_changes_no_bit(host: Host, strength: float) -> None:
    made = TokensAdapter({"<a>": [torch.ones(2, 24)]})
    made.inject(host, "a")
    before = answer(host, "a <a>")
    made.set_strength(strength)
    assert same(answer(host, "a <a>"), before)


@pytest.mark.parametrize("odd", [{}, {"<a>.0": torch.zeros(3, 24)}, {"<b>.0": torch.zeros(2, 24)},
                                 {"<a>.0": torch.zeros(2, 24), "<a>.1": torch.zeros(2, 24)}])
def test_a_state_of_other_words_is_refused_and_changes_nothing(odd: dict[str, torch.Tensor]) -> None:
    made = TokensAdapter({"<a>": [torch.ones(2, 24)]})
    with pytest.raises(StudioError, match="do not match"):
        made.load_state(odd)
    assert made.state()["<a>.0"].eq(1).all()


def test_a_file_gives_the_words_back_in_their_order_with_both_encoders_rows(tmp_path: Path, record: AdapterRecord,
                                                                           ) -> None:
    given = {"<b.1>": [torch.randn(2, 24), torch.randn(2, 32)], "<a>": [torch.randn(1, 24), torch.randn(1, 32)]}
    made = TokensAdapter(given)
    save(tmp_path / "a.safetensors", made, record.model_copy(update={"kind": "tokens", "spec": made.spec}))
    again, _ = load(tmp_path / "a.safetensors")
    assert isinstance(again, TokensAdapter) and again.words == ("<b.1>", "<a>")
    for word, rows in again.vectors().items():
        assert same(rows, tuple(given[word]))


@pytest.mark.parametrize("tensors", [{}, {"<a>": torch.zeros(1, 24)}, {"<a>.2": torch.zeros(1, 24)},
                                     {"<a>.0": torch.zeros(24)}, {"<b>.0": torch.zeros(1, 24)}])
def test_a_file_of_something_else_is_refused_by_name(tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(StudioError, match=r"'f\.safetensors'"):
        TokensAdapter.from_file(tensors, {}, {"words": {"<a>": 1}}, "f.safetensors")


def test_an_adapter_is_in_one_host_at_a_time(host: Host) -> None:
    made = TokensAdapter.for_training(host, {"<a>": "cat"})
    made.inject(host, "a")
    with pytest.raises(RuntimeError):
        made.inject(twin(host), "b")
    made.eject()
    made.eject()
    made.inject(twin(host), "b")
