"""The filter for prompts of person adapters: what it catches of phrasings that it was not made on."""

import time

import pytest

from pipelines.prompt_filter import flagged, flagged_unwanted, rates


def test_it_catches_most_and_wrongly_refuses_few_of_what_it_was_not_made_on() -> None:
    found = rates()
    print(found)
    assert found["caught_of"] >= 200 and found["false_alarms_of"] >= 200
    assert found["caught"] >= 0.9 and found["false_alarms"] <= 0.05


def test_it_catches_most_clothes_that_are_unwanted_and_few_other_negative_prompts() -> None:
    found = rates()
    assert found["unwanted_caught_of"] >= 20 and found["unwanted_false_alarms_of"] >= 20
    assert found["unwanted_caught"] >= 0.9 and found["unwanted_false_alarms"] <= 0.05


@pytest.mark.parametrize(("negative", "reason"), [
    ("blurry, clothes, dress, bra", "clothes"), ("a woman wearing a dress", "wearing a dress"),
    ("(clothing:1.4)", "clothing"), ("BREAK clothes BREAK ugly", "clothes"), ("(nude:0.1), bra", "bra"),
    ("(nude:-1)", "nude"), ("cl0thes", "clothes"), ("clothes hiding her skin", "clothes hiding her skin")])
def test_it_says_what_in_the_negative_prompt_is_the_reason(negative: str, reason: str) -> None:
    assert flagged_unwanted(negative) == reason


@pytest.mark.parametrize("negative", ["", "nude, nsfw, naked", "no clothes", "clothes hanger in background",
                                      "torn clothes", "nude, lingerie, bra", "hat, jacket", "(clothes:-1)",
                                      "salad dressing"])
def test_what_protects_and_what_is_of_no_matter_may_be_unwanted(negative: str) -> None:
    assert flagged_unwanted(negative) is None


@pytest.mark.parametrize("prompt", ["zok woman n u d e", "zok woman n4k3d", "a (nude:1.4) zok man", "zok NÜDE",
                                    "zok woman, n.u.d.e", "zok wom\u200ban nu\u200bde", "zok man nuuude", "zok na ked",
                                    "zok woman (clothes:-1)", "zok woman, nud\u0435", "zok woman nak\ufe0fed",
                                    "zok woman nak\u034fed", "zok woman nak\u2063ed", "zok woman nak\u3164ed",
                                    "zok woman nak\U000e0001ed", "zok woman nake\u0111"])
def test_letters_in_disguise_are_read(prompt: str) -> None:
    assert flagged(prompt)


@pytest.mark.parametrize("prompt", ["a photo of zok woman in the snow", "zok man eating chicken breast",
                                    "visible to the naked eye, zok woman", "zok woman in Essex", "[zok man] (hat:1.2)",
                                    "a topless car with zok man", "", "zok woman pieds nus sur la plage"])
def test_harmless_words_are_not_refused(prompt: str) -> None:
    assert flagged(prompt) is None


def test_it_says_which_words_are_the_reason() -> None:
    assert flagged("a photo of zok woman wearing nothing, in the snow") == "wearing nothing"


@pytest.mark.parametrize("part", ["a ", "without any ", "half half ", "n.u.d.x", "removing her ", "(((", "sheer a b ",
                                  "in in "])
def test_the_longest_prompt_is_read_in_a_moment(part: str) -> None:
    started = time.perf_counter()
    flagged((part * 4000)[:4000])
    flagged_unwanted((part.replace("(", "") * 4000)[:4000] + "x")
    assert time.perf_counter() - started < 2
