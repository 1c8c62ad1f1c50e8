"""CLIP's tokenizer from its published byte-pair list, so that single checkpoints open offline."""

from __future__ import annotations

import gzip

from transformers import CLIPTokenizer

from pipelines.shipped import ASSETS

VOCABULARY_PATH = ASSETS / "clip" / "bpe_simple_vocab_16e6.txt.gz"
_MERGES = 49_152 - 256 - 2  # merges that the released models use; the file holds more


def clip_tokenizer(padding: str = "<|endoftext|>") -> CLIPTokenizer:
    """The tokenizer of CLIP ViT-L/14 (49,408 tokens, 77 per prompt), as SD 1.x uses it.

    OpenCLIP's differs by its `padding`, '!'.
    """
    lines = gzip.decompress(VOCABULARY_PATH.read_bytes()).decode("utf-8").split("\n")
    merges = [tuple(line.split()) for line in lines[1:_MERGES + 1]]
    symbols = _byte_symbols()
    tokens = [*symbols, *(s + "</w>" for s in symbols), *("".join(m) for m in merges),
              "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={t: n for n, t in enumerate(tokens)}, merges=merges, unk_token="<|endoftext|>",
        bos_token="<|startoftext|>", eos_token="<|endoftext|>", pad_token=padding,
        model_max_length=77,
    )


def _byte_symbols() -> list[str]:
    """The 256 printable stand-ins for bytes, in CLIP's order (Radford et al., `bytes_to_unicode`)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1),
             *range(ord("®"), ord("ÿ") + 1)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + n) for n in range(len(rest))]
