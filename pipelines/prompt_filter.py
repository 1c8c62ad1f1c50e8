"""A filter for prompts that would show a person nude or in a sexual way. It is a filter, not a guarantee.

Used for adapters that learned a person (`assets/people/filter.toml` has its words, in five languages, `unwanted.toml`
those of the negative prompt); how much it catches and how much it wrongly refuses on lists stands in docs/trust.md.
"""

from __future__ import annotations

import itertools
import re
import tomllib
import unicodedata
from functools import cache

from adapters.prompt_syntax import parse_weights
from pipelines.shipped import ASSETS

WORDS = ASSETS / "people" / "filter.toml"
UNWANTED = ASSETS / "people" / "unwanted.toml"
_DIGITS = str.maketrans("013457@$!€", "oieastasie")
# Letters that look like others: Cyrillic, Greek, small capitals, and ligatures that Unicode does not part.
_ALIKE = str.maketrans("аеорсухіѕԁոοανιᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "aeopcyxisdnoaviabcdeghijklmnoprstuvwyz") | {
    ord("œ"): "oe", ord("æ"): "ae", ord("ø"): "o", ord("ł"): "l", ord("ð"): "d", ord("đ"): "d", ord("ı"): "i",
    ord("ս"): "u"}
_NEGATIVE = re.compile(r"\b(cloth(es|ing)|dress(ed)?|garments?|underwear|bra|outfit)\b\s*:\s*-")
_REPEATED = re.compile(r"(\w)\1{2,}")
_UNSEEN = frozenset({"Mn", "Me", "Cf"})  # Unicode's categories of marks on letters and of what is not drawn
_FILLERS = re.compile(r"[\u115f\u1160]")  # letters that are not drawn
_WEIGHT = re.compile(r":\s*\d*\.?\d+\s*(?=[)\]>])")
_SPACED = re.compile(r"\b(?:\w[\s._*\-/|+~]{1,3}){2,}\w\b")
_JOINED = re.compile(r"(?<=\w)[._*\-/|+~']+(?=\w)")
_PARTS = re.compile(r"[,;|\n\r]|\.(?=\s|$)")


def flagged(prompt: str) -> str | None:
    """The words of a prompt that are the reason to refuse it; None when there is none."""
    if taken_away := _NEGATIVE.search(prompt.casefold()):
        return taken_away[0]
    harmless, flagging = _patterns()
    for view in _views(prompt):
        left = harmless.sub(" ", view)
        if found := flagging.search(left):
            return found[0].strip()
        words = left.split()
        for first, second in itertools.pairwise(words):  # a word that was cut in two
            if flagging.fullmatch(first + second) and not flagging.fullmatch(first):
                return first + second
    return None


def flagged_unwanted(negative: str) -> str | None:
    """The words of a negative prompt that are the reason to refuse it; None when there is none.

    Clothes that are not to be there are, and nakedness of a negative weight; to list nakedness itself protects.
    Raises StudioError for weights that cannot be read.
    """
    chunks, patterns = parse_weights(negative), _unwanted()
    parts = [part for chunk in chunks for part in chunk]
    if turned := next((r for p in parts if p.weight < 0 and (r := flagged(p.text))), None):
        return turned
    guarded = any(p.weight >= 1 and patterns["nude"].search(view) for p in parts for view in _views(p.text))
    words = ",".join("".join(p.text for p in chunk if p.weight > 0) for chunk in chunks)
    for part in _PARTS.split(words):
        for view in _views(part):
            text = " ".join(view.strip(" .").split())
            if patterns["hiding"].search(text):
                return text
            meant = patterns["list"].fullmatch(text) or patterns["worn"].search(text) or patterns["row"].search(text)
            if meant and (patterns["garments"].search(text) or not guarded):
                return meant[0]
    return None


def _views(prompt: str) -> list[str]:
    """The prompt as it is read: plain, with digits for letters, with letters set apart, with marks inside words."""
    text = unicodedata.normalize("NFKD", prompt).casefold()
    text = "".join(c for c in text if unicodedata.category(c) not in _UNSEEN).translate(_ALIKE)
    text = _WEIGHT.sub("", _FILLERS.sub("", text)).replace("’", "'")
    letters = text.translate(_DIGITS)
    tight = _SPACED.sub(lambda m: re.sub(r"[\W_]+", "", m[0]), letters)
    views = [text, letters, tight, _JOINED.sub("", letters), _REPEATED.sub(r"\1", letters)]
    # Brackets, commas and line ends part words as a space does.
    return list(dict.fromkeys(re.sub(r"[()\[\]{}<>,;:!?\"\n\r\t_]+", " ", v) for v in views))


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    tables: dict[str, list[str]] = tomllib.loads(WORDS.read_text("utf-8"))
    harmless = tables.pop("harmless")
    return _any(harmless), _any([p for words in tables.values() for p in words])


@cache
def _unwanted() -> dict[str, re.Pattern[str]]:
    """`list`: clothes and nothing else; `worn`: somebody in clothes, and nothing after it; `row`: three in a row."""
    tables: dict[str, list[str]] = tomllib.loads(UNWANTED.read_text("utf-8"))
    filler, wearing, clothes = ("|".join(tables[k]) for k in ("fillers", "wearing", "garments"))
    clothes += "|" + "|".join(tables["intimate"])
    listed = rf"(?:(?:{filler}) )*(?:{clothes})(?: (?:{filler}|{clothes}))*"
    return {"list": re.compile(listed), "worn": re.compile(rf"(?<!\w)(?:{wearing}) {listed}$"),
            "row": re.compile(rf"(?<!\w)(?:(?:{clothes}) ){{2}}(?:{clothes})(?!\w)"),
            **{name: _any(tables[name]) for name in ("garments", "hiding", "nude")}}


def _any(patterns: list[str]) -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:" + "|".join(f"(?:{p})" for p in patterns) + r")(?!\w)")


def rates() -> dict[str, float]:
    """Shares of the lists beside the filter that it refuses, `caught` and `false_alarms`, and how many there are.

    The lists were written without a look at the filter; every second line, from the first, was then looked at while it
    was made, the others, which are counted here, were not. The short ones of negative prompts (`unwanted_`) were
    written together with their filter, and all of them are counted.
    """
    told: dict[str, float] = {}
    for name, figure in (("flagged", "caught"), ("harmless", "false_alarms")):
        lines = _lines(name)
        told[figure] = round(sum(flagged(x) is not None for x in lines[1::2]) / len(lines[1::2]), 4)
        told[f"{figure}_all"] = round(sum(flagged(x) is not None for x in lines) / len(lines), 4)
        told[f"{figure}_of"] = len(lines)
    for name, figure in (("unwanted", "unwanted_caught"), ("unwanted_harmless", "unwanted_false_alarms")):
        lines = _lines(name)
        told[figure] = round(sum(flagged_unwanted(x) is not None for x in lines) / len(lines), 4)
        told[f"{figure}_of"] = len(lines)
    return told


def _lines(name: str) -> list[str]:
    return [x for x in (WORDS.parent / f"{name}.txt").read_text("utf-8").splitlines() if x.strip()]
