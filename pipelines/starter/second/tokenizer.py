"""The second edition's CLIPTokenizer: built as the first's, over its own world's words."""

from __future__ import annotations

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

from pipelines.starter.captions import EXTRA_WORDS, TRIGGER_WORDS
from pipelines.starter.glyphs import COLOURS
from pipelines.starter.second.captions import RELATIONS, SIZES
from pipelines.starter.second.glyphs import Catalogue
from pipelines.starter.second.scenes import SCENES
from pipelines.starter.second.styles import HELD_OUT_STYLES, STYLES
from pipelines.starter.tokenizer import learn_merges


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


