"""A1111's prompts, read exactly."""

from __future__ import annotations

import pytest

from adapters.errors import StudioError
from adapters.prompt_syntax import Part, parse_weights, take_loras


def read(prompt: str) -> list[list[tuple[str, float]]]:
    return [[(p.text, round(p.weight, 6)) for p in chunk] for chunk in parse_weights(prompt)]


@pytest.mark.parametrize(("prompt", "parts"), [  # the examples of A1111's own docstring, and its readme
    ("normal text", [("normal text", 1.0)]),
    ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
    ("(unbalanced", [("unbalanced", 1.1)]),
    (r"\(literal\]", [("(literal]", 1.0)]),
    ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
    ("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).", [
        ("a ", 1.0), ("house", 1.573), (" ", 1.1), ("on", 1.0), (" a ", 1.1), ("hill", 0.55), (", sun, ", 1.1),
        ("sky", 1.4641), (".", 1.1)]),
    ("(x:1.3)", [("x", 1.3)]), ("(x:.5)", [("x", 0.5)]), ("(x: -1 )", [("x", -1.0)]),
    ("[x]", [("x", round(1 / 1.1, 6))]), ("[[x]", [("x", round(1 / 1.21, 6))]), ("([x])", [("x", 1.0)]),
    (r"a \(b\) \[c\] \\", [("a (b) [c] \\", 1.0)]),
    ("a) b] c:1.3) d", [("a) b] c:1.3) d", 1.0)]), ("time: 10:30", [("time: 10:30", 1.0)]),
    ("(<mycat>:1.2) on grass", [("<mycat>", 1.2), (" on grass", 1.0)]),
])
def test_weights_are_a1111s(prompt: str, parts: list[tuple[str, float]]) -> None:
    assert read(prompt) == [parts]


@pytest.mark.parametrize("prompt", ["a photo of a <mycat>, 8k: new; BREAKFAST \t\n — 猫 {x} ", "back\\slash", "a:b"])
def test_a_prompt_without_marks_is_itself(prompt: str) -> None:
    assert parse_weights(prompt) == [[Part(prompt, 1.0)]]


def test_break_begins_a_chunk_and_weights_reach_over_it() -> None:
    assert read("a BREAK b") == [[("a", 1.0)], [("b", 1.0)]]
    assert read("(a BREAK b:2) c") == [[("a", 2.0)], [("b", 2.0), (" c", 1.0)]]
    assert read("BREAK") == [[], []] and read("") == [[]]


@pytest.mark.parametrize("prompt", ["(x:1.2.3)", "(x:.)", "(x:99)"])
def test_a_weight_that_is_none_is_one_sentence(prompt: str) -> None:
    with pytest.raises(StudioError, match=r"is no weight; write \(words:1\.3\)"):
        parse_weights(prompt)


def test_brackets_without_end_are_refused_instead_of_endless_weights() -> None:
    assert read("(" * 20 + "x")[0][0][1] == round(1.1**20, 6)
    with pytest.raises(StudioError, match="'x' multiply to a weight beyond 10"):
        parse_weights("(" * 2000 + "x")


@pytest.mark.parametrize(("prompt", "bare", "tags"), [
    ("a cat <lora:mycat:0.8>", "a cat", [("mycat", 0.8)]),
    ("<lora:a> x <LoRA:b:-.5><lora:c:2> y", "x y", [("a", 1.0), ("b", -0.5), ("c", 2.0)]),
    ("a <lora:a b.v2:1> <lora:a:1> b", "a b", [("a b.v2", 1.0), ("a", 1.0)]),
    ("no  <tag> here <lora>", "no  <tag> here <lora>", []),
])
def test_lora_tags_are_taken_out(prompt: str, bare: str, tags: list[tuple[str, float]]) -> None:
    assert take_loras(prompt) == (bare, tags)


@pytest.mark.parametrize("weight", ["x", "", "nan", "99", "1:2"])
def test_a_tags_weight_must_be_a_sensible_number(weight: str) -> None:
    with pytest.raises(StudioError, match=r"write <lora:name:0\.8>"):
        take_loras(f"a <lora:mycat:{weight}>")
