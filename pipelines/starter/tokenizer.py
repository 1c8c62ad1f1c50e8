"""The starter's CLIPTokenizer: every word of its world is one token, every other word is spelled.

The vocabulary is byte-level BPE like CLIP's: 256 byte symbols, the same 256 at a word's end, merges
learned on the world's word list until each word is whole, and the two special tokens. So all of
Unicode has tokens and nothing falls back to the end token.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

from pipelines.starter.captions import EXTRA_WORDS, RELATIONS, SIZES, TRIGGER_WORDS
from pipelines.starter.glyphs import COLOURS, Catalogue
from pipelines.starter.scenes import SCENES
from pipelines.starter.styles import HELD_OUT_STYLES, STYLES


def caption_words() -> list[str]:
    """The words with a meaning in the world's captions."""
    catalogue = Catalogue()
    sentences = [*catalogue.nouns, *(i.kind for i in catalogue.trainable()), *COLOURS, *SIZES, "and"]
    sentences += [p for s in SCENES.values() for p in s.phrases]
    sentences += [p for s in STYLES.values() for p in (*s.openings, *s.endings)]
    sentences += [p for ways in RELATIONS.values() for way in ways for p in way]
    return sorted({w for s in sentences for w in s.split()} - {"{}"})


def words() -> list[str]:
    """Every word that is to be a single token: captions, extras, triggers; none that is held out."""
    held_out = {w for noun in (*Catalogue().held_out_nouns, *HELD_OUT_STYLES) for w in noun.split()}
    return sorted((set(caption_words()) | set(EXTRA_WORDS) | set(TRIGGER_WORDS)) - held_out)


def build(length: int) -> CLIPTokenizer:
    """The tokenizer, with `length` tokens per prompt (start and end included)."""
    merges = learn_merges(words())
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*symbols, *(s + "</w>" for s in symbols)]
    tokens += [a + b for a, b in merges if a + b not in set(tokens)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {t: n for n, t in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, unk_token="<|endoftext|>",
                         bos_token="<|startoftext|>", eos_token="<|endoftext|>",
                         pad_token="<|endoftext|>", model_max_length=length)


def learn_merges(vocabulary: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges (Sennrich et al., 2016) until every word is one token; ties go by the alphabet.

    The library's trainer breaks ties by chance, a new order in every process: a resumed run or an
    export then gave other ids to some of the words than the weights had learned.
    """
    pieces = [[*word[:-1], word[-1] + "</w>"] for word in sorted(set(vocabulary))]
    merges = []
    while counts := Counter(pair for word in pieces for pair in pairwise(word)):
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        pieces = [_apply(word, best) for word in pieces]
    return merges


def _apply(word: list[str], pair: tuple[str, str]) -> list[str]:
    joined, position = [], 0
    while position < len(word):
        if tuple(word[position:position + 2]) == pair:
            joined.append(word[position] + word[position + 1])
            position += 2
        else:
            joined.append(word[position])
            position += 1
    return joined
