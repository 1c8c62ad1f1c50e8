"""No script says anything of its own: what is shown comes from the catalogues, what the studio says is known there."""

from __future__ import annotations

import ast
import errno
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import app.errors
from adapters.errors import StudioError
from adapters.formats import _REASONS
from adapters.lora.lycoris import OTHERS as OTHER_KINDS
from app.child import why_it_ended
from app.concepts import looker_child
from app.concepts.looker import LookerProcess
from app.faults import LOGGED, PRINTED, SMALLER_BATCH, sentence_of
from app.http.method_routes import _PRESETS, describe
from app.jobs.queue import DOING
from app.jobs.runs import DISK_FULL
from app.painting import painter_child
from app.painting.grid import _SETS, FIELDS
from app.painting.painter import PainterProcess
from app.ui import page
from app.ui.concepts import STATIC
from pipelines.base_models.families import _OTHERS
from pipelines.base_models.locate import _OTHER_PIPELINES
from pipelines.estimate import Estimate
from pipelines.exchange.reading import _NO_ADAPTER
from pipelines.exchange.report import FileReport
from pipelines.exchange.writing import _how_to_use
from pipelines.helpers import HELPERS
from pipelines.memory import MORE_MEMORY
from pipelines.methods import METHODS
from pipelines.methods.common import resolve
from pipelines.shipped import REPOSITORY
from pipelines.triggers import noun_warning
from tests.app.ui.test_words import LANGUAGES, catalogue

# Where sentences are that no browser shows; every other one has to be known in every language.
IN_TERMINALS = {
    "app/verbs/": "the command line itself",
    "app/http/server.py": "why the server does not start, and what it answers to other sites' pages",
    "app/home.py": "why a data folder cannot be opened, before there is a page",
    "app/system/migrations.py": "the same",
    "app/system/repair.py": "a verb of the command line",
    "pipelines/dataset_folders/": "datasets in folders, which only the command line reads",
    "pipelines/lab/dreambench.py": "a verb of the command line",
    "pipelines/lab/report.py": "the README's tables are written by a program of its own",
    "pipelines/speed/": "speed is measured by a program of its own, or on the command line",
    "pipelines/starter/": "the starter is made by a program of its own",
}
# What is told inside another sentence or as a note and is made elsewhere: functions by file.
PARTS = {"adapters/lora/weights.py": "fault", "adapters/full.py": "_fault", "pipelines/memory.py": "lower",
         "pipelines/exchange/content.py": "_add", "pipelines/exchange/writing.py": "_base"}
PLACE = "7"

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


@pytest.mark.parametrize("language", OTHERS)
def test_how_a_process_ended_is_known(language: str) -> None:
    there = answers(language)
    children = [(c.who, c.advice) for c in (PainterProcess()._child, LookerProcess()._child)]
    for who, advice in [*children, ("The export", "close other programs and try again")]:
        assert who in there and advice in there
        assert all(known(why_it_ended(who, code, advice), there) for code in (DISK_FULL, -9, 1))


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("error", [ValueError("odd"), MemoryError(), OSError(errno.ENOSPC, "full")], ids=repr)
@pytest.mark.parametrize(("what", "advice", "where"), [
    ("The job", SMALLER_BATCH, LOGGED), ("The painting", painter_child.ADVICE, PRINTED),
    ("The look at the picture", looker_child.ADVICE, PRINTED),
    ("The download", "close other programs and try again", PRINTED),
    ("'export'", "choose a smaller batch, size or base", PRINTED)])
def test_why_work_failed_is_known(language: str, error: Exception, what: str, advice: str, where: str) -> None:
    assert known_whole(sentence_of(error, what, advice, where), answers(language))


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("like", ["", "mycat"])
def test_what_is_reckoned_and_what_a_helper_is_for_is_known(language: str, like: str) -> None:
    there = answers(language)
    assert known_whole(Estimate(100, 10**9, 10**6, like).as_dict()["says"], there)
    assert not [h.title for h in HELPERS.values() if not known_whole(h.good_for, there)]


def known_whole(text: str, patterns: dict[str, str]) -> bool:
    """Whether `said` knows it, and leaves no words of it as they came: the first pattern that fits is what counts."""
    for english, words in patterns.items():
        names = re.findall(r"\{(\w+)\}", english)
        if found := re.fullmatch("(.+?)".join(map(re.escape, re.split(r"\{\w+\}", english))), text, re.S):
            kept = [(name, said) for name, said in zip(names, found.groups(), strict=True)
                    if f"{{{name}}}" in words and re.search("[A-Za-z]{2,} [a-z]{2,}", said)]
            return all(name.startswith("said") and known_whole(said, patterns) for name, said in kept)
    return False


Names = dict[str, list[str]]


def _texts(node: ast.expr | None, names: Names) -> list[str]:
    """All that an expression can say, as far as it is written there; PLACE where it is not."""
    match node:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.FormattedValue(value=value):
            return _texts(value, names)
        case ast.JoinedStr(values=values):
            return ["".join(said) for said in itertools.product(*(_texts(v, names) for v in values))]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [a + b for a in _texts(left, names) for b in _texts(right, names)]
        case ast.IfExp(body=one, orelse=other):
            return [*_texts(one, names), *_texts(other, names)]
        case ast.Dict(values=values):
            return [text for v in values for text in _texts(v, names)]
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return names.get(name, [PLACE])
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[_, other]):
            return [*names.get(name, [PLACE]), *_texts(other, names)]
    return [PLACE]


def _named(scope: ast.AST, names: Names) -> Names:
    """`names`, and what is written behind those of a scope."""
    found = dict(names)
    for node in ast.iter_child_nodes(scope) if isinstance(scope, ast.Module) else ast.walk(scope):
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
            texts = _texts(node.value, names)
            if any(re.search("[A-Za-z]", t) for t in texts) and len(texts) < 20:
                found[target.id] = [*found.get(target.id, []), *texts]
    return found


def _is_refusal(name: str) -> bool:
    others = {"Cancelled", "NotFinite", "TooMany", "not_whole"}
    found = getattr(app.errors, name, None) or (name in others and StudioError)
    return isinstance(found, type) and issubclass(found, StudioError)


def refusals(source: str) -> set[str]:
    """What a module can refuse with: its StudioErrors, the answers {"error": ...}, and why a field is not taken."""
    tree, found = ast.parse(source), set[str]()
    module = _named(tree, {})
    scopes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for scope in scopes:
        names = _named(scope, module)
        checks = any("validator" in ast.unparse(d) for d in scope.decorator_list)
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args and (
                    _is_refusal(node.func.id) or (checks and node.func.id == "ValueError")):
                found |= set(_texts(node.args[-1], names))
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value in ("error", "message"):
                        found |= set(_texts(value, names))
    return found - {PLACE, ""}


def _shown() -> Iterator[tuple[str, str]]:
    """Every file of the program that a browser can hear of, with its source."""
    for top in ("adapters", "pipelines", "app"):
        for path in sorted((REPOSITORY / top).rglob("*.py")):
            name = path.relative_to(REPOSITORY).as_posix()
            if not name.startswith(tuple(IN_TERMINALS)):
                yield name, path.read_text("utf-8")


@pytest.mark.parametrize("language", OTHERS)
def test_every_refusal_that_a_browser_can_show_is_known(language: str) -> None:
    there, said = answers(language), {(text, name) for name, source in _shown() for text in refusals(source)}
    assert len(said) > 300
    assert not sorted((name, text) for text, name in said if not known_whole(text, there))


@pytest.mark.parametrize("place", IN_TERMINALS)
def test_what_is_excepted_is_there_and_refuses_something(place: str) -> None:
    path = REPOSITORY / place
    sources = path.rglob("*.py") if path.is_dir() else [path]
    assert any(refusals(s.read_text("utf-8")) for s in sources)


@pytest.mark.parametrize(("line", "said"), [
    ('raise StudioError(f"No {thing} here; give one.")', {"No 7 here; give one."}),
    ('what = "a cat" if x else f"{n} dogs"; raise Missing("No " + what)', {"No a cat", "No 7 dogs"}),
    ('return {"error": "It broke."}', {"It broke."}), ('raise RuntimeError("Ours alone.")', set())])
def test_refusals_are_found(line: str, said: set[str]) -> None:
    assert refusals(f"def here(): {line}") == said


def test_a_sentence_of_which_words_would_stay_as_they_came_is_not_known() -> None:
    there = {"{a} is {b}.": "{b}: {a}", "It {said_how}.": "{said_how}", "was late": ""}
    assert known_whole("7 is 7.", there) and known_whole("It was late.", there)
    assert not known_whole("7 is not here any more.", there) and not known_whole("It fell off.", there)


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_told_inside_a_refusal_is_known(language: str) -> None:
    there, parts = answers(language), [*_REASONS.values(), *_OTHERS.values(), *_NO_ADAPTER.values(),
                                       *_OTHER_PIPELINES.values(), *(o for o in OTHER_KINDS.values() if " " in o),
                                       MORE_MEMORY]
    for name, function in PARTS.items():
        tree = ast.parse((REPOSITORY / name).read_text("utf-8"))
        [made] = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == function]
        texts = [text for n in ast.walk(made) if isinstance(n, ast.JoinedStr) for text in _texts(n, {})]
        parts += filter(SENTENCE.search, texts)
    assert not [p for p in parts if not known_whole(p, there)]


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("wrong", [{"batch": 0}, {"batch": "many"}, {"batch": 10**9}, {"optimizer": "best"}, {"hue": 1},
                                   {"dora": True, "quantize": "4bit"}, {"learning_rate": "x"}, {"steps": 1.5}])
def test_why_a_setting_is_refused_is_known(language: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(StudioError) as refused:
        resolve("lora", "starter", **wrong)
    assert known_whole(str(refused.value), answers(language))


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize(("files", "count"), [("w", 1), ("ww", 2), ("lw", 1), ("lww", 2)])
def test_how_an_export_is_used_is_known(language: str, files: str, count: int) -> None:
    reports = [FileReport(Path(f"{n}.safetensors"), "words" if kind == "w" else "lora", ())
               for n, kind in enumerate(files)]
    [note] = _how_to_use(reports, {f"<w{n}>": () for n in range(count)})
    assert known(note, answers(language))


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


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize(("noun", "words"), [("kitteh", {"kitten"}), ("plushie", ()), ("plushie", {"plushie"})])
def test_what_is_said_of_a_noun_is_known(language: str, noun: str, words: set[str], tokenizer: Any) -> None:
    assert known_whole(str(noun_warning(tokenizer, noun, words)), answers(language))


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("left", ["pytorch_model.bin", "model.safetensors"])
def test_why_a_bases_safety_checker_is_refused_is_known(tmp_path: Path, language: str, left: str) -> None:
    from pipelines.base_models.safety import safety_checker  # it takes torch along

    (tmp_path / "safety_checker").mkdir()
    (tmp_path / "safety_checker" / left).touch()
    with pytest.raises(StudioError) as refused:
        safety_checker(tmp_path, "mybase")
    assert known(str(refused.value), answers(language))
