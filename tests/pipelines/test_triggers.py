from __future__ import annotations

from typing import Any

import pytest

from adapters.errors import StudioError
from pipelines.triggers import (
    _WORDS_WITH_A_MEANING,
    CANDIDATES,
    choose_trigger,
    is_one_token,
    noun_warning,
)


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
    assert noun_warning(tokenizer, "teddy bear", ()) is None


def test_an_unknown_noun_names_the_nearest_known_word(tokenizer: Any) -> None:
    warning = noun_warning(tokenizer, "kitteh", {"cat", "kitten", "dog"})
    assert warning and "'kitteh'" in warning and "nearest word it knows is 'kitten'" in warning


def test_without_a_list_the_nearest_token_is_named(tokenizer: Any) -> None:
    warning = noun_warning(tokenizer, "corgii", ())
    assert warning and "nearest word it knows is 'corgi'" in warning


def test_the_first_unknown_word_of_a_noun_is_named(tokenizer: Any) -> None:
    warning = noun_warning(tokenizer, "red kitteh", {"red", "kitten"})
    assert warning and "'kitteh'" in warning and "'red kitteh'" in warning
