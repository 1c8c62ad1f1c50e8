from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from adapters.errors import StudioError
from adapters.host import Host
from adapters.text import Conditioning, TextSide, Tokens, join
from tests.adapters.tools import ENDS, anatomy, answer, same

PLAIN = ["", "a photo of a cat", "A Photo, of: a <strange> CAT's hat!!", "Ünïcode — 猫", "cat " * 500]


def rows(k: int, d: int = 24, seed: int = 0) -> nn.Parameter:
    return nn.Parameter(torch.randn(k, d, generator=torch.Generator().manual_seed(seed)))


def slots(host: Host, prompt: str) -> list[int]:
    """The slots that are taken, in their order."""
    found = host.text.tokenize([prompt]).slots[0]
    return found[found >= 0].tolist()


# tokenizing


@pytest.mark.parametrize("with_word", [False, True])
def test_without_learned_words_tokens_are_the_tokenizers_own(host: Host, with_word: bool) -> None:
    if with_word:
        host.text.add_word("<mycat>", [rows(2)])
    tokens = host.text.tokenize(PLAIN)
    own = host.tokenizer(PLAIN, padding="max_length", truncation=True, max_length=77, return_tensors="pt")
    assert torch.equal(tokens.ids, own.input_ids)
    assert torch.equal(tokens.padding, own.attention_mask == 0)
    assert (tokens.slots == -1).all()


@pytest.mark.parametrize("written", ["<mycat>", "<MyCat>", "<MYCAT>"])
@pytest.mark.parametrize("k", [1, 3])
def test_k_vectors_are_k_consecutive_places_however_the_word_is_written(host: Host, written: str, k: int) -> None:
    host.text.add_word("<MyCat>", [rows(k)])
    tokens = host.text.tokenize([f"a photo of {written}, red"])
    assert tokens.slots[0, :10].tolist() == [-1] * 4 + list(range(k)) + [-1] * (6 - k)
    around = [i for i, s in zip(tokens.ids[0].tolist(), tokens.slots[0].tolist(), strict=True) if s < 0]
    plain = host.text.tokenize(["a photo of , red"]).ids[0].tolist()
    assert around == plain[:len(around)]
    assert torch.equal(host.text.positions(tokens, written), tokens.slots >= 0)


def test_words_that_touch_other_letters_are_found(host: Host) -> None:
    host.text.add_word("<mycat>", [rows(2)])
    assert slots(host, "x<mycat><mycat>'s") == [0, 1, 0, 1]


def test_a_word_that_begins_another_is_not_found_in_it(host: Host) -> None:
    host.text.add_word("<my>", [rows(1)])
    host.text.add_word("<my>2", [rows(2)])
    assert slots(host, "<my>2 <my>") == [1, 2, 0]


def test_each_word_has_its_own_places_and_they_move_up_when_one_goes(host: Host) -> None:
    for word, k in (("<a>", 2), ("<b>", 1), ("<c>", 3)):
        host.text.add_word(word, [rows(k)])
    assert host.text.words == ("<a>", "<b>", "<c>")
    assert slots(host, "<c> <a> <b>") == [3, 4, 5, 0, 1, 2]
    host.text.remove_word("<A>")
    assert slots(host, "<c> <a> <b>") == [1, 2, 3, 0]


def test_a_long_prompt_is_cut_with_its_end_token_in_place(host: Host) -> None:
    host.text.add_word("<mycat>", [rows(4)])
    tokens = host.text.tokenize(["cat " * 73 + "<mycat>"])
    assert tokens.slots[0, 74:76].tolist() == [0, 1] and tokens.slots[0, 76] == -1
    assert tokens.ids[0, 76] == host.tokenizer.eos_token_id and not tokens.padding.any()


def test_last_of_is_the_last_token_of_the_first_plain_occurrence(host: Host) -> None:
    host.text.add_word("<cat>", [rows(2)])
    tokens = host.text.tokenize(["a <cat> cat cat", "dog zok cat"])
    assert len(host.text.pieces("zok")) == 2
    assert host.text.last_of(tokens, "cat").tolist() == [4, 4]
    assert host.text.last_of(tokens[1:], "zok cat").tolist() == [4]
    with pytest.raises(StudioError, match="'bird' is not in every prompt"):
        host.text.last_of(tokens, "bird")
    with pytest.raises(StudioError, match="'zok' is not in every prompt"):
        host.text.last_of(tokens, "zok")


# taking and giving back words


@pytest.mark.parametrize("again", ["<mycat>", "<MYcat>"])
def test_a_word_in_use_is_refused_and_the_first_stays(host: Host, again: str) -> None:
    first = rows(1)
    host.text.add_word("<mycat>", [first])
    before = answer(host, "<mycat>")
    with pytest.raises(StudioError, match="in use by another concept"):
        host.text.add_word(again, [rows(2, seed=1)])
    assert same(answer(host, "<mycat>"), before)


@pytest.mark.parametrize("word", ["cat", "Photo", "", " "])
def test_a_word_of_the_base_is_refused(host: Host, word: str) -> None:
    with pytest.raises(StudioError, match="word of the base itself"):
        host.text.add_word(word, [rows(1)])
    assert not host.text.words


@pytest.mark.parametrize("given", [[rows(1, 32)], [rows(1), rows(1)], []])
def test_vectors_of_another_base_are_refused_with_both_widths(host: Host, given: list[nn.Parameter]) -> None:
    with pytest.raises(StudioError, match=r"want widths \[24\]"):
        host.text.add_word("<mycat>", given)
    assert not host.text.words


def test_the_last_word_takes_the_hooks_with_it_and_every_bit_is_as_before(host: Host) -> None:
    prompts = ("a photo of a cat", "a photo of <a> and <b>")
    before, tree, vocabulary = [answer(host, p) for p in prompts], anatomy(host), host.tokenizer.get_vocab()
    host.text.add_word("<a>", [rows(2)])
    host.text.add_word("<b>", [rows(1)])
    assert same(answer(host, prompts[0]), before[0]) and not same(answer(host, prompts[1]), before[1])
    host.text.remove_word("<a>")
    assert len(host.text.embedding()._forward_hooks) == 1
    host.text.remove_word("<b>")
    assert [same(answer(host, p), b) for p, b in zip(prompts, before, strict=True)] == [True, True]
    assert anatomy(host) == tree and host.tokenizer.get_vocab() == vocabulary


def test_a_call_past_the_text_side_sees_no_words(host: Host) -> None:
    ids = host.text.tokenize(["a photo of a cat"]).ids
    before = host.text_encoder(ids)[0]
    host.text.add_word("<mycat>", [rows(1)])
    host.text.encode_prompts(["<mycat>"])
    assert torch.equal(host.text_encoder(ids)[0], before)


# encoding


def test_states_are_those_of_a_table_with_the_rows_appended(host: Host) -> None:
    learned = rows(2)
    reference = copy.deepcopy(host.text_encoder)
    table = torch.cat([host.text.embedding().weight, learned.detach()])
    reference.set_input_embeddings(nn.Embedding.from_pretrained(table))
    host.text.add_word("<mycat>", [learned])
    tokens = host.text.tokenize(["a <mycat> on the beach", "a cat"])
    ids = torch.where(tokens.slots >= 0, len(host.tokenizer) + tokens.slots, tokens.ids)
    assert torch.equal(host.text.encode(tokens).states, reference(ids).last_hidden_state)


def test_gradients_reach_the_rows_of_the_words_in_the_prompt_and_nothing_else(host: Host) -> None:
    here, absent = rows(2), rows(2, seed=1)
    host.text.add_word("<here>", [here])
    host.text.add_word("<absent>", [absent])
    host.text.encode(host.text.tokenize(["a <here>"])).states.square().mul(torch.arange(24.0)).sum().backward()
    assert here.grad is not None and (here.grad.abs().sum(1) > 0).all()
    assert absent.grad is None or not absent.grad.any()
    assert all(p.grad is None for p in host.text_encoder.parameters())


def test_encode_prompts_keeps_no_graph(host: Host) -> None:
    host.text.add_word("<mycat>", [rows(1)])
    assert not host.text.encode_prompts(["<mycat>"]).states.requires_grad


def test_half_precision_encoders_take_words_in_their_own_precision(host: Host) -> None:
    host.text_encoder.to(torch.bfloat16)
    learned = rows(1)
    host.text.add_word("<mycat>", [learned])
    states = host.text.encode(host.text.tokenize(["<mycat>"])).states
    assert states.dtype == torch.bfloat16 and learned.dtype == torch.float32
    states.float().square().mul(torch.arange(24.0)).sum().backward()
    assert learned.grad is not None and learned.grad.dtype == torch.float32 and learned.grad.any()


# two encoders, as SDXL has


def pair(host: Host, eos: int) -> TextSide:
    shape = {"vocab_size": len(host.tokenizer), "intermediate_size": 48, "num_hidden_layers": 3,
             "num_attention_heads": 2, **ENDS, "eos_token_id": eos}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoders = [CLIPTextModel(CLIPTextConfig(hidden_size=24, **shape)),
                    CLIPTextModelWithProjection(CLIPTextConfig(hidden_size=32, projection_dim=20, **shape))]
    second = copy.deepcopy(host.tokenizer)
    second.pad_token = "!"
    return TextSide([host.tokenizer, second], [e.eval().requires_grad_(False) for e in encoders], large=True)


@pytest.mark.parametrize("eos", [49407, 2])  # 2: the legacy configuration, which pools at the largest id
def test_two_encoders_give_penultimate_states_and_the_pooled_state_of_the_end_token(host: Host, eos: int) -> None:
    side = pair(host, eos)
    learned, references = [rows(2, 24), rows(2, 32)], [copy.deepcopy(e) for e in side.encoders]
    side.add_word("<mycat>", learned)
    tokens = side.tokenize(["a <mycat> on the beach"])
    found, outputs = side.encode(tokens), []
    for n, reference in enumerate(references):
        table = torch.cat([side.embedding(n).weight, learned[n].detach()])
        reference.set_input_embeddings(nn.Embedding.from_pretrained(table))
        ids = torch.where(tokens.slots >= 0, len(host.tokenizer) + tokens.slots, tokens.ids)
        if n:
            ids = ids.masked_fill(tokens.padding, 0)  # '!' is the first of CLIP's vocabulary
        outputs.append(reference(ids, output_hidden_states=True))
    assert torch.equal(found.states, torch.cat([o.hidden_states[-2] for o in outputs], -1))
    assert found.states.shape == (1, 77, 56)
    end = int((~tokens.padding[0]).sum()) - 1
    pooled = references[1].text_projection(outputs[1].last_hidden_state[:, end])
    torch.testing.assert_close(found.pooled, pooled, rtol=1e-5, atol=1e-6)


def test_a_word_needs_as_many_vectors_in_every_encoder(host: Host) -> None:
    with pytest.raises(StudioError, match=r"want widths \[24, 32\]"):
        pair(host, 49407).add_word("<mycat>", [rows(1, 24), rows(2, 32)])


def test_both_encoders_rows_learn(host: Host) -> None:
    side, learned = pair(host, 49407), [rows(1, 24), rows(1, 32)]
    side.add_word("<mycat>", learned)
    side.encode(side.tokenize(["<mycat>"])).states.square().mul(torch.arange(56.0)).sum().backward()
    assert all(r.grad is not None and r.grad.any() for r in learned)


# batches


def test_join_puts_one_batch_behind_the_other_and_refuses_a_mixture(host: Host) -> None:
    one, two = host.text.tokenize(["a"]), host.text.tokenize(["b", "c"])
    joined = join(one, two)
    assert isinstance(joined, Tokens) and torch.equal(joined.ids, host.text.tokenize(["a", "b", "c"]).ids)
    a, b = Conditioning(torch.zeros(1, 2, 3), torch.zeros(1, 4)), Conditioning(torch.ones(2, 2, 3), torch.ones(2, 4))
    both = join(a, b)
    assert isinstance(both, Conditioning) and both.pooled is not None
    assert both.states[:, 0, 0].tolist() == both.pooled[:, 0].tolist() == [0, 1, 1]
    with pytest.raises(TypeError):
        join(one, a)
