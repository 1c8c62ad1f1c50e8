"""The page's words: every language has every key, and every key that the scripts use is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.ui.concepts import STATIC

USE = re.compile(r"""\bt\(\s*(?:"([\w.]+)"|([^\s")]))""")
LANGUAGES = sorted(p.stem for p in (STATIC / "i18n").glob("*.json"))


def catalogue(language: str) -> dict[str, str]:
    """A language's texts; a key that stands twice would hide one of them."""
    def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    found: dict[str, str] = json.loads((STATIC / "i18n" / f"{language}.json").read_text("utf-8"),
                                       object_pairs_hook=once)
    return found


def used() -> dict[str, set[str]]:
    """Each script's keys. A key that is put together could not be looked for here, so there is none."""
    found = {}
    for script in STATIC.glob("*.js"):
        text = script.read_text("utf-8")
        calls = USE.findall(text) if '"./i18n.js"' in text and script.name != "i18n.js" else []
        assert not [other for _, other in calls if other], f"{script.name} has a key that is not a plain text"
        found[script.name] = {key for key, _ in calls if key}
    for page in ("login_page.py", "login_routes.py"):  # without a script: the server says its words
        found[page] = set(re.findall(r'"(login\.\w+)"', (STATIC.parents[1] / "http" / page).read_text("utf-8")))
    return found


def test_english_and_german_are_there() -> None:
    assert LANGUAGES == ["de", "en"]
    said = (STATIC / "i18n.js").read_text("utf-8")
    assert all(f"{language}:" in said for language in LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything_with_the_same_places(language: str) -> None:
    english, words = catalogue("en"), catalogue(language)
    assert words.keys() == english.keys()
    places = re.compile(r"\{\w+\}")
    for key, text in words.items():
        assert text.strip() and sorted(places.findall(text)) == sorted(places.findall(english[key])), key


def test_every_key_that_is_used_is_there_and_none_is_left_over() -> None:
    keys, asked = set(catalogue("en")), set().union(*used().values())
    assert asked <= keys, sorted(asked - keys)
    assert {k.removesuffix(".one") for k in keys} <= asked, sorted({k.removesuffix(".one") for k in keys} - asked)


def test_what_people_typed_never_becomes_markup() -> None:
    for script in Path(STATIC).glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", script.read_text("utf-8"))
