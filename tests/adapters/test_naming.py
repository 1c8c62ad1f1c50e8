from __future__ import annotations

import pytest

from adapters.errors import StudioError
from adapters.naming import MAX_LENGTH, check_name, check_noun


@pytest.mark.parametrize("name", [
    "mycat", "a", "7", "My-Cat_2", "x" * MAX_LENGTH, "console", "com10", "com"])
def test_good_names_pass_unchanged(name: str) -> None:
    assert check_name(name) == name


def test_spaces_around_a_name_are_dropped() -> None:
    assert check_name("  mycat\n") == "mycat"


@pytest.mark.parametrize("name", [
    "../x", "..", ".", ".hidden", "/etc/passwd", "a/b", "C:\\x", "a\\b", "a:b", "con", "NUL", "Com1",
    "lpt9", "a\0b", "a b", "a.b", "a\nb", "-x", "_x", "é", "cat\u202e", "<x>", "a*", "~", "$HOME",
    "x" * (MAX_LENGTH + 1), "x" * 100_000,
])
def test_bad_names_are_refused_in_a_short_printable_sentence(name: str) -> None:
    with pytest.raises(StudioError, match="cannot be a name") as refusal:
        check_name(name)
    assert len(str(refusal.value)) < 250
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("name", ["", "   ", "\t\n"])
def test_no_name_is_refused(name: str) -> None:
    with pytest.raises(StudioError, match="has no name"):
        check_name(name)


@pytest.mark.parametrize(("noun", "clean"), [
    ("dog", "dog"), ("  Teddy   Bear ", "teddy bear"), ("Käse", "käse"),
    ("jack-o'-lantern", "jack-o'-lantern"),
])
def test_nouns_are_lower_case_with_single_spaces(noun: str, clean: str) -> None:
    assert check_noun(noun) == clean


@pytest.mark.parametrize("noun", ["a/b", "dog, cat", "(dog:1.4)", "<dog>", "x" * 41, "a\0b"])
def test_bad_nouns_are_refused(noun: str) -> None:
    with pytest.raises(StudioError, match="cannot be a class noun"):
        check_noun(noun)


@pytest.mark.parametrize("noun", ["", "  "])
def test_no_noun_is_refused(noun: str) -> None:
    with pytest.raises(StudioError, match="class noun is empty"):
        check_noun(noun)
