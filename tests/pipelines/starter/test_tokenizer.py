"""Every word of the world is one token, every other word is spelled."""

import os
import string
import subprocess
import sys

from pipelines.starter import tokenizer
from pipelines.starter.captions import SIZES, TRIGGER_WORDS
from pipelines.starter.glyphs import Catalogue
from pipelines.starter.styles import HELD_OUT_STYLES


def test_every_word_of_the_world_is_one_token() -> None:
    tokens = tokenizer.build(48)
    assert all(len(tokens.tokenize(w)) == 1 for w in tokenizer.words())
    assert {"toy", "vintage", "photo", "drawing", *SIZES, *TRIGGER_WORDS} <= set(tokenizer.words())


def test_other_words_are_spelled_and_ascii_never_ends_the_prompt() -> None:
    tokens = tokenizer.build(48)
    special = set(tokens.all_special_ids)
    for character in string.printable.strip():
        ids = tokens(f"{character}x{character}", add_special_tokens=False).input_ids
        assert ids and not special & set(ids), character
    for noun in ("strawberry", "helicopter", "xylophone", "Dachshund"):
        ids = tokens(noun, add_special_tokens=False).input_ids
        assert len(ids) > 1 and not special & set(ids)


def test_the_tokenizer_is_the_same_in_every_process() -> None:
    code = ("from pipelines.starter import tokenizer; "
            "print(sorted(tokenizer.build(48).get_vocab().items(), key=lambda item: item[1]))")
    printed = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              env={**os.environ, "PYTHONHASHSEED": str(seed)}).stdout for seed in (1, 2)}
    assert len(printed) == 1


def test_a_held_out_noun_or_style_is_no_word_of_the_world() -> None:
    held_out = {*Catalogue().held_out_nouns, *HELD_OUT_STYLES}
    assert len(held_out) == 8 and not held_out & set(tokenizer.words())
