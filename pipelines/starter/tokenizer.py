"""The starter's CLIPTokenizer: every word of its world is one token, every other word is spelled.

The vocabulary is byte-level BPE like CLIP's: 256 byte symbols, the same 256 at a word's end, merges
learned on the world's word list until each word is whole, and the two special tokens. So all of
Unicode has tokens and nothing falls back to the end token.
"""

from __future__ import annotations

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from pipelines.starter.captions import EXTRA_WORDS, TRIGGER_WORDS
from pipelines.starter.glyphs import COLOURS, Catalogue
from pipelines.starter.scenes import SCENES

_ALL_EDITIONS = 99


def words() -> list[str]:
    """Every word that is to be a single token: captions of all editions, extras, triggers."""
    catalogue = Catalogue(_ALL_EDITIONS)
    found = {w for noun in catalogue.nouns for w in noun.split()}
    found |= {i.kind for i in catalogue.individuals} | set(COLOURS)
    found |= {w for s in SCENES.values() for p in s.phrases for w in p.split()}
    return sorted((found | set(EXTRA_WORDS) | set(TRIGGER_WORDS)) - set(catalogue.held_out_nouns))


def build(length: int) -> CLIPTokenizer:
    """The tokenizer, with `length` tokens per prompt (start and end included)."""
    trainer = trainers.BpeTrainer(vocab_size=100_000, min_frequency=1, show_progress=False,
                                  end_of_word_suffix="</w>")
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    bpe.train_from_iterator(words(), trainer)
    merges = [tuple(m) for m in _merges(bpe)]
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*symbols, *(s + "</w>" for s in symbols)]
    tokens += [a + b for a, b in merges if a + b not in set(tokens)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {t: n for n, t in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, unk_token="<|endoftext|>",
                         bos_token="<|startoftext|>", eos_token="<|endoftext|>",
                         pad_token="<|endoftext|>", model_max_length=length)


def _merges(bpe: Tokenizer) -> list[list[str]]:
    import json

    return [m if isinstance(m, list) else m.split(" ") for m in json.loads(bpe.to_str())["model"]["merges"]]
