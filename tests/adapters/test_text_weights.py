"""Weighted prompts on the tiny base: plain ones to the last bit, weighted ones as A1111 computes them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from adapters.host import Host
from adapters.text import Conditioning, TextSide
from tests.adapters.test_text import rows


@pytest.fixture
def host(host: Host) -> Host:
    """With states whose mean is not nothing, as every trained encoder's."""
    with torch.no_grad():
        for name, parameter in host.text_encoder.named_parameters():
            if name.endswith("final_layer_norm.bias"):
                parameter.fill_(0.3)
    return host


def encoded(host: Host, *prompts: str) -> Conditioning:
    with torch.no_grad():
        return host.text.encode(host.text.tokenize_weighted(prompts))


def test_a_plain_prompt_is_encoded_as_ever(host: Host) -> None:
    prompts = ["a photo of a <mycat>, red: 10:30", ""]
    host.text.add_word("<mycat>", [rows(2)])
    assert host.text.tokenize_weighted(prompts).weights is None
    assert torch.equal(encoded(host, *prompts).states, host.text.encode_prompts(prompts).states)


def test_escaped_brackets_are_letters(host: Host) -> None:
    assert torch.equal(encoded(host, r"a \(red\) cat").states, host.text.encode_prompts(["a (red) cat"]).states)


def test_states_are_multiplied_and_their_mean_restored(host: Host) -> None:
    """A1111's two lines, by hand: token 2 is 'red'."""
    plain = host.text.encode_prompts(["a red cat"]).states
    weights = torch.ones(1, 77, 1)
    weights[0, 2] = 1.5
    moved = plain * weights
    torch.testing.assert_close(encoded(host, "a (red:1.5) cat").states, moved * (plain.mean() / moved.mean()))


def test_a_mean_of_nothing_is_left_alone(tiny: Host) -> None:
    plain = tiny.text.encode_prompts(["a red cat"]).states
    assert abs(float(plain.mean())) < 1e-6  # of the tiny base, whose last norm has no bias
    weights = torch.ones(1, 77, 1)
    weights[0, 2] = 1.5
    torch.testing.assert_close(encoded(tiny, "a (red:1.5) cat").states, plain * weights)


def test_a_prompt_beside_a_weighted_one_keeps_every_bit(host: Host) -> None:
    both = encoded(host, "(a cat:2)", "a dog").states
    torch.testing.assert_close(both[1:], encoded(host, "a dog").states, rtol=0, atol=1e-6)
    assert not torch.allclose(both[:1], encoded(host, "a cat").states)


@pytest.mark.parametrize("k", [1, 3])
def test_a_learned_word_counts_with_all_its_vectors(host: Host, k: int) -> None:
    host.text.add_word("<mycat>", [rows(k)])
    tokens = host.text.tokenize_weighted(["a (<mycat>:1.4) b"])
    assert tokens.weights is not None
    where = host.text.positions(tokens, "<mycat>")
    assert where.sum() == k and torch.equal(tokens.weights == 1.4, where)


def test_break_gives_chunks_that_know_nothing_of_each_other_and_others_get_empty_ones(host: Host) -> None:
    found = encoded(host, "a cat BREAK a dog", "red").states
    assert found.shape == (2, 154, 24)
    expected = host.text.encode_prompts(["a cat", "a dog", "red", ""]).states.reshape(2, 154, 24)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_weights_end_where_the_chunk_is_cut(host: Host) -> None:
    tokens = host.text.tokenize_weighted(["(" + "cat " * 200 + ":1.3)"])
    assert tokens.weights is not None
    assert tokens.weights[0, 0] == tokens.weights[0, 76] == 1 and (tokens.weights[0, 1:76] == 1.3).all()


def test_on_two_encoders_each_keeps_its_own_mean_and_the_pooled_words_are_the_first_chunks(tokenizer: Any) -> None:
    encoders = []
    for n, kind in enumerate((CLIPTextModel, CLIPTextModelWithProjection)):
        torch.manual_seed(n)
        encoders.append(kind(CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=(16, 24)[n], intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, projection_dim=12, bos_token_id=49406, eos_token_id=49407,
            pad_token_id=49407)).eval())
        with torch.no_grad():  # the last but one layer's states have a mean then
            encoders[-1].get_input_embeddings().weight.add_(0.3)
    text = TextSide([tokenizer, tokenizer], encoders, large=True)
    with torch.no_grad():
        plain = text.encode_prompts(["a cat", "a dog"])
        found = text.encode(text.tokenize_weighted(["a (cat:1.5) BREAK a dog"]))
    assert found.states.shape == (1, 154, 40) and found.pooled is not None and plain.pooled is not None
    torch.testing.assert_close(found.pooled, plain.pooled[:1])
    for part in (slice(0, 16), slice(16, 40)):
        torch.testing.assert_close(found.states[0, :77, part].mean(), plain.states[0, :, part].mean())
    torch.testing.assert_close(found.states[0, 77:], plain.states[1])
