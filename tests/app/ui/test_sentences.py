"""No script says anything of its own: what is shown comes from the catalogues, what the studio says is known there."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.http.method_routes import _PRESETS, describe
from app.jobs.queue import DOING
from app.painting.grid import _SETS, FIELDS
from app.ui import page
from app.ui.concepts import STATIC
from pipelines.methods import METHODS
from pipelines.shipped import REPOSITORY
from tests.app.ui.test_words import LANGUAGES, catalogue

OTHERS = [language for language in LANGUAGES if language != "en"]
SCRIPTS = sorted(STATIC.glob("*.js"))
SENTENCE = re.compile(r"^\W*[A-Z][a-z]+|[A-Za-z]{2,} [a-z]{2,}")
# What looks like words but is no sentence of ours: keys, headers, languages in their own words, selectors, classes; and
# what goes to the model or comes from the studio, in English always.
SILENT = re.compile(r"^(Enter|Escape|Content-Type|X-[\w-]+|English|Deutsch|Starting|a photo of *)$|^[.#\[]|^s-")
# A literal that is only looked up: t("key"), everyWord("key"), and paths.
LOOKED_UP = re.compile(r"(\bt\(|import |from |everyWord\()$")


def literals(script: str) -> Iterator[tuple[str, str]]:
    """Each string of a script, what stands in `${}` left out, and what comes right before it."""
    at = 0
    while at < len(script):
        here = script[at]
        if script.startswith("//", at):
            at = script.find("\n", at)
            at = len(script) if at < 0 else at
        elif here == "/" and re.search(r"[=(,:\[!&|?{};]\s*$", script[:at]):  # a regular expression
            at += len(re.compile(r"/(\\.|\[(\\.|[^\]\\])*\]|[^/\\\n])+/").match(script, at).group())  # type: ignore[union-attr]
        elif here in "\"'":
            whole = re.compile(rf"{here}((?:\\.|[^\\{here}])*){here}").match(script, at)
            assert whole, script[at:at + 60]
            yield whole[1], script[:at]
            at = whole.end()
        elif here == "`":
            text, end = "", at + 1
            while script[end] != "`":
                if script.startswith("${", end):
                    close = _closing(script, end + 2)
                    yield from literals(script[end + 2:close])
                    end = close + 1
                else:
                    text += script[end]
                    end += 1
            yield text, script[:at]
            at = end + 1
        else:
            at += 1


def _closing(script: str, at: int) -> int:
    """Where the brace that is open at `at` is closed."""
    depth = 1
    while depth:
        depth += {"{": 1, "}": -1}.get(script[at], 0)
        at += 1
    return at - 1


def spoken(script: str) -> list[str]:
    """The sentences that a script says itself."""
    return [text for text, before in literals(script)
            if SENTENCE.search(text) and not SILENT.search(text) and not LOOKED_UP.search(before)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_a_script_says_nothing_that_is_not_in_the_catalogues(script: Path) -> None:
    assert spoken(script.read_text("utf-8")) == []


@pytest.mark.parametrize("line", [
    'button("Start", () => this.start())', 'make("p", {}, "nothing here yet")', "say(`Painting ${n} of ${of} now`)",
    'make("p", { title: `${t("a.b")} and more words` })', 'placeholder: "words of the prompt"'])
def test_a_script_that_says_something_is_found(line: str) -> None:
    assert spoken(f'import {{ t }} from "./i18n.js";\n{line};\n')


def test_the_pages_own_words_are_the_english_ones() -> None:
    """What stands there before the scripts have come; they put the chosen language in its place."""
    words = set(catalogue("en").values())
    shown = re.findall(r">([^<>]+)<", page._BRAND)
    tabs = re.findall(r'gr\.Tab\("(\w+)"', Path(page.__file__).read_text("utf-8"))
    assert len(tabs) == 5 and {"Semblance", *words} >= {*shown, *tabs}


def answers(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STATIC / "answers" / f"{language}.json").read_text("utf-8"))
    return found


def known(text: str, patterns: dict[str, str]) -> bool:
    """As `said` in i18n.js looks it up."""
    return any(re.fullmatch("(.+?)".join(map(re.escape, re.split(r"\{\w+\}", p))), text, re.S) for p in patterns)


@pytest.mark.parametrize("language", OTHERS)
def test_answers_keep_their_places(language: str) -> None:
    for english, words in answers(language).items():
        assert set(re.findall(r"\{\w+\}", words)) <= set(re.findall(r"\{\w+\}", english)), english


@pytest.mark.parametrize("language", OTHERS)
def test_methods_presets_settings_and_axes_are_known(language: str) -> None:
    there = answers(language)
    wanted = [*_PRESETS.values(), *FIELDS.values(), *_SETS.values(), *DOING.values()]
    for method in METHODS:
        told = describe(method)
        wanted += [told["title"], *(f["label"] for f in told["fields"]), *(f["tip"] for f in told["fields"])]
    assert not [w for w in wanted if w and w not in there]


def _stages() -> set[str]:
    """Every stage that a run can say, with a word in the places."""
    found = set()
    for source in [*(REPOSITORY / "pipelines").rglob("*.py"), *(REPOSITORY / "app").rglob("*.py")]:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Dict):
                said: dict[str, Any] = {k.value: v for k, v in zip(node.keys, node.values, strict=True)
                                        if isinstance(k, ast.Constant)}
                if isinstance(kind := said.get("type"), ast.Constant) and kind.value in ("stage", "warning"):
                    found.add(_text(said["text"]))
    return found - {""}


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "7" for v in node.values)
    return ""


@pytest.mark.parametrize("language", OTHERS)
def test_what_a_run_says_on_its_way_is_known(language: str) -> None:
    stages, there = _stages(), answers(language)
    assert len(stages) > 10
    assert not [s for s in stages if not known(s, there)]
