from __future__ import annotations

import re
from typing import Any

import pytest

from adapters.errors import StudioError
from pipelines.base_models.words import known_nouns, known_words
from pipelines.triggers import (
    _WORDS_WITH_A_MEANING,
    CANDIDATES,
    choose_trigger,
    is_one_token,
    noun_warning,
)
from tests.pipelines.base_models import small


def test_a_word_of_the_vocabulary_is_one_token_and_a_long_one_is_not(tokenizer: Any) -> None:
    assert is_one_token(tokenizer, "cat")
    assert not is_one_token(tokenizer, "qzxjvkwq")


def test_the_chosen_trigger_is_one_token(tokenizer: Any) -> None:
    assert len(tokenizer.tokenize(choose_trigger(tokenizer, ()))) == 1


def test_twenty_concepts_get_twenty_triggers_of_one_token_without_a_meaning(tokenizer: Any) -> None:
    taken: list[str] = []
    for _ in range(20):
        taken.append(choose_trigger(tokenizer, taken))
    assert len(set(taken)) == 20
    assert all(len(tokenizer.tokenize(t)) == 1 for t in taken)
    assert not set(taken) & _WORDS_WITH_A_MEANING


def test_when_every_trigger_is_taken_it_says_so(tokenizer: Any) -> None:
    with pytest.raises(StudioError, match="Every trigger word"):
        choose_trigger(tokenizer, CANDIDATES)


def test_a_known_noun_gives_no_warning(tokenizer: Any) -> None:
    assert noun_warning(tokenizer, "cat", {"cat", "dog"}) is None
    assert noun_warning(tokenizer, "teddy bear", ()) is None  # two words, each a token of its own


def test_a_word_that_the_base_never_saw_names_the_nearest_known_one(tokenizer: Any) -> None:
    warning = noun_warning(tokenizer, "kitteh", {"cat", "kitten", "dog"})
    assert warning == ("The base never saw the word 'kitteh', the nearest in spelling that it knows is 'kitten'; "
                       "training goes on with 'kitteh', a known word would be learned faster.")


def test_a_word_of_several_tokens_says_so_and_names_the_nearest_whole_one(tokenizer: Any) -> None:
    warning = noun_warning(tokenizer, "plushie", ())
    assert warning and "reads 'plushie' as 2 pieces, the nearest in spelling that it knows is 'plush';" in warning
    warning = noun_warning(tokenizer, "plushie", {"plushie", "toy"})  # also where captions had it
    assert warning and "as 2 pieces, the nearest in spelling that it knows is 'toy';" in warning


@pytest.mark.parametrize("word", ["чашка", "qzxjvkwq"])
def test_what_is_named_without_a_list_is_a_word_and_no_part_of_one(word: str, tokenizer: Any) -> None:
    warning = noun_warning(tokenizer, word, ())
    assert warning and re.search(r"knows is '[a-z]{3,}'", warning)


def test_a_vocabulary_without_words_warns_without_one() -> None:
    warning = noun_warning(small.tokenizer("<|endoftext|>"), "cat", ())
    assert warning and "reads 'cat' as 3 pieces; training goes on" in warning


def test_the_first_unknown_word_of_a_noun_is_named(tokenizer: Any) -> None:
    warning = noun_warning(tokenizer, "red kitteh", {"red", "kitten"})
    assert warning and "'kitteh'" in warning and "'red kitteh'" in warning


def test_the_starter_offers_a_thing_in_a_things_place(tokenizer: Any) -> None:
    """'old' and 'an' are spelled more like what is asked for, and are no things."""
    words, nouns = known_words("starter"), known_nouns("starter")
    assert {"teddy bear", "animal"} <= nouns and {w for n in nouns for w in n.split()} <= words
    for noun, offered in (("doll", "dog"), ("can", "candy"), ("red doll", "dog")):
        assert f"it knows is '{offered}'" in str(noun_warning(tokenizer, noun, words, nouns))
