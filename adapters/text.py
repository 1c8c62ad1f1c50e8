"""The text side of a base: prompts to states, with words that adapters add and take away again.

A learned word never enters a tokenizer. It is found in the prompt as it is written, and its vectors
take the place of the base's embedding rows through a hook that is there only while there are such
words. So the vocabulary cannot change, old rows cannot move, and mixed case or punctuation in a word
cannot split it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from adapters.errors import StudioError
from adapters.prompt_syntax import Part, parse_weights


@dataclass(frozen=True)
class Conditioning:
    """What a denoiser is told: `states` [B, T, D] and, on SDXL, `pooled` [B, P]."""

    states: torch.Tensor
    pooled: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, index: Any) -> Conditioning:
        return Conditioning(self.states[index], None if self.pooled is None else self.pooled[index])


@dataclass(frozen=True)
class Tokens:
    """Prompts as numbers, all [B, T]: valid until a word is added or removed.

    `ids` are the base's; `slots` is the row of a learned word's vector in the table of all of them,
    -1 where the base's own word stands; `padding` is true behind the first end token. `weights` are how much
    each place counts, None where all are 1. T is the tokenizer's length, or with `BREAK` a multiple of it.
    """

    ids: torch.Tensor
    slots: torch.Tensor
    padding: torch.Tensor
    weights: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Tokens:
        return Tokens(self.ids[index], self.slots[index], self.padding[index],
                      None if self.weights is None else self.weights[index])


class TextSide:
    """Tokenizers and text encoders of one base, in the order in which the denoiser reads them.

    `large` takes the last but one layer's states of every encoder and the last encoder's pooled projection
    (SDXL); otherwise the final states are taken (Stable Diffusion 1 and 2).
    """

    def __init__(self, tokenizers: Sequence[Any], encoders: Sequence[nn.Module], *, large: bool = False) -> None:
        self.tokenizers, self.encoders = tuple(tokenizers), tuple(encoders)
        self.large = large
        self.zero_empty = large
        """Whether an empty negative prompt is zeros (diffusers' `force_zeros_for_empty_prompt`)."""
        self._words: dict[str, tuple[nn.Parameter, ...]] = {}
        self._hooks: list[Any] = []
        self._slots: torch.Tensor | None = None

    # words

    @property
    def words(self) -> tuple[str, ...]:
        """The learned words, in the order in which they came."""
        return tuple(self._words)

    def embedding(self, encoder: int = 0) -> nn.Embedding:
        """The encoder's table of token vectors."""
        table: nn.Embedding = self.encoders[encoder].get_input_embeddings()  # type: ignore[operator]
        return table

    def add_word(self, word: str, rows: Sequence[nn.Parameter]) -> None:
        """Let `word` stand for `rows`: one [k, d] parameter per encoder, k alike in all.

        Raises StudioError when the word is taken or is the base's own, or when its vectors do not fit
        the encoders.
        """
        key = word.lower()
        if len(self.pieces(word)) < 2:
            raise StudioError(f"'{word}' is a word of the base itself and cannot be learned anew; write it as "
                              f"'<{key}>'.")
        if key in self._words:
            raise StudioError(f"The word '{word}' is in use by another concept here; use one of the two.")
        widths = [self.embedding(n).embedding_dim for n in range(len(self.encoders))]
        if [r.shape[1] for r in rows] != widths or len({r.shape[0] for r in rows}) != 1:
            raise StudioError(
                f"The vectors of '{word}' have the shapes {[tuple(r.shape) for r in rows]}, this base's text "
                f"encoders want widths {widths}; choose the base that they were trained for.")
        self._words[key] = tuple(rows)
        if not self._hooks:
            self._hooks = [self.embedding(n).register_forward_hook(self._replace(n))
                           for n in range(len(self.encoders))]

    def remove_word(self, word: str) -> None:
        """Forget a word; without words the encoders are as they were."""
        self._words.pop(word.lower(), None)
        if not self._words:
            for hook in self._hooks:
                hook.remove()
            self._hooks = []

    def _replace(self, encoder: int) -> Any:
        def hook(_module: nn.Module, _arguments: Any, out: torch.Tensor) -> torch.Tensor:
            slots = self._slots
            if slots is None or slots.shape != out.shape[:2]:
                return out  # somebody else's call
            table = torch.cat([rows[encoder] for rows in self._words.values()]).to(out)
            learned = table[slots.clamp(min=0)]
            return torch.where((slots >= 0)[..., None], learned, out)

        return hook

    def slots_of(self, word: str) -> range:
        """The rows of a word in the table that `Tokens.slots` points into."""
        start = 0
        for known, rows in self._words.items():
            if known == word.lower():
                return range(start, start + len(rows[0]))
            start += len(rows[0])
        raise KeyError(word)

    def positions(self, tokens: Tokens, word: str) -> torch.Tensor:
        """Where a learned word stands: booleans [B, T]."""
        rows = self.slots_of(word)
        return (tokens.slots >= rows.start) & (tokens.slots < rows.stop)

    # prompts

    def pieces(self, word: str) -> list[int]:
        """The base's ids of a plain word or phrase, without start and end."""
        found: list[int] = self.tokenizers[0](word, add_special_tokens=False).input_ids
        return found

    def tokenize(self, prompts: Sequence[str]) -> Tokens:
        """Cut at the tokenizer's length, padded to it; a learned word takes as many places as vectors."""
        return self._laid_out([self._places(prompt) for prompt in prompts])

    def tokenize_weighted(self, prompts: Sequence[str]) -> Tokens:
        """Prompts with A1111's weights and `BREAK` (see `adapters/prompt_syntax.py`).

        Each chunk is cut at the tokenizer's length by itself; prompts with fewer chunks than others get empty ones.
        Prompts without any of the marks are tokenized as by `tokenize`.
        """
        read = [parse_weights(p) for p in prompts]
        if all(len(chunks) == 1 and all(p.weight == 1 for p in chunks[0]) for chunks in read):
            return self.tokenize(["".join(p.text for p in chunks[0]) for chunks in read])
        most = max(map(len, read))
        every: list[list[Part]] = [c for chunks in read for c in [*chunks, *[[]] * (most - len(chunks))]]
        places = [[(place, part.weight) for part in chunk for place in self._places(part.text)] for chunk in every]
        tokens = self._laid_out([[place for place, _ in row] for row in places])
        weights = torch.ones(tokens.ids.shape)
        for n, row in enumerate(places):
            row = row[:weights.shape[1] - 2]
            weights[n, 1:1 + len(row)] = torch.tensor([w for _, w in row])
        return Tokens(*(t.reshape(len(prompts), -1)
                        for t in (tokens.ids, tokens.slots, tokens.padding, weights.to(tokens.ids.device))))

    def _places(self, prompt: str) -> list[tuple[int, int]]:
        """Id and slot of each of a prompt's tokens."""
        row: list[tuple[int, int]] = []
        for part, is_word in self._split(prompt):
            row += [(0, s) for s in self.slots_of(part)] if is_word else [(i, -1) for i in self.pieces(part)]
        return row

    def _laid_out(self, rows: Sequence[list[tuple[int, int]]]) -> Tokens:
        tokenizer = self.tokenizers[0]
        length = tokenizer.model_max_length
        ids = torch.full((len(rows), length), tokenizer.pad_token_id)
        slots = torch.full((len(rows), length), -1)
        padding = torch.ones(len(rows), length, dtype=torch.bool)
        for n, row in enumerate(rows):
            row = [(tokenizer.bos_token_id, -1), *row[:length - 2], (tokenizer.eos_token_id, -1)]
            ids[n, :len(row)] = torch.tensor([i for i, _ in row])
            slots[n, :len(row)] = torch.tensor([s for _, s in row])
            padding[n, :len(row)] = False
        device = self.embedding().weight.device
        return Tokens(ids.to(device), slots.to(device), padding.to(device))

    def _split(self, prompt: str) -> list[tuple[str, bool]]:
        if not self._words:
            return [(prompt, False)]
        longest_first = sorted(self._words, key=len, reverse=True)
        pattern = "|".join(re.escape(w) for w in longest_first)
        parts = re.split(f"({pattern})", prompt, flags=re.IGNORECASE)
        return [(p, p.lower() in self._words) for p in parts if p]

    def last_of(self, tokens: Tokens, phrase: str) -> torch.Tensor:
        """Position [B] of the last token of a plain phrase's first occurrence; StudioError when absent."""
        wanted = torch.tensor(self.pieces(phrase), device=tokens.ids.device)
        windows = tokens.ids.unfold(1, len(wanted), 1)
        there = ((windows == wanted) & (tokens.slots[:, :, None].unfold(1, len(wanted), 1)[:, :, 0] < 0)).all(-1)
        if not bool(there.any(1).all()):
            raise StudioError(f"'{phrase}' is not in every prompt that should hold it; use another noun.")
        return there.int().argmax(1) + len(wanted) - 1

    def encode(self, tokens: Tokens) -> Conditioning:
        """States of tokenized prompts; gradients reach the learned words.

        Chunks of a longer prompt are encoded by themselves and their states joined; the pooled projection is the
        first one's. Weights are applied to each encoder's states (see `_weighted`), never to `pooled`.
        """
        found, pooled = [], None
        length = self.tokenizers[0].model_max_length
        ids, slots, padding = (t.reshape(-1, length) for t in (tokens.ids, tokens.slots, tokens.padding))
        self._slots = slots if self._words else None
        try:
            for tokenizer, encoder in zip(self.tokenizers, self.encoders, strict=True):
                out = encoder(ids.masked_fill(padding, tokenizer.pad_token_id), output_hidden_states=self.large)
                states = out.hidden_states[-2] if self.large else out.last_hidden_state
                if tokens.weights is not None:
                    states = _weighted(states, tokens.weights.reshape(-1, length))
                found.append(states.reshape(len(tokens), -1, states.shape[-1]))
                pooled = out[0].reshape(len(tokens), -1, out[0].shape[-1])[:, 0] if self.large else None
        finally:
            self._slots = None
        return Conditioning(torch.cat(found, -1), pooled)

    def negative(self, text: Conditioning, prompt: str) -> Conditioning:
        """What guidance goes away from: the encoded negative `prompt`, or zeros when it is empty and the base
        was trained so."""
        if prompt or not self.zero_empty:
            return text
        return Conditioning(torch.zeros_like(text.states),
                            None if text.pooled is None else torch.zeros_like(text.pooled))

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """`encode` without gradients."""
        with torch.no_grad():
            return self.encode(self.tokenize(prompts))


def _weighted(states: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """A1111's emphasis: states [B, T, D] times weights [B, T], then each chunk's mean as it was before.

    `EmphasisOriginal` in `modules/sd_emphasis.py` of AUTOMATIC1111/stable-diffusion-webui. Where a mean is nothing
    beside the spread, restoring it would multiply by chance, and A1111's `EmphasisOriginalNoNorm` is taken. Chunks
    whose weights are all 1 keep every bit.
    """
    whole = states.float()
    moved = whole * weights[..., None]
    before, after = whole.mean((1, 2), keepdim=True), moved.mean((1, 2), keepdim=True)
    tellable = torch.minimum(before.abs(), after.abs()) > 1e-4 * whole.std((1, 2), keepdim=True)
    moved = torch.where(tellable, moved * (before / after), moved)
    return torch.where((weights == 1).all(1)[:, None, None], states, moved.to(states.dtype))


def join(first: Conditioning | Tokens, second: Conditioning | Tokens) -> Conditioning | Tokens:
    """One batch after the other, both of one kind."""
    if isinstance(first, Tokens) and isinstance(second, Tokens):  # of captions, which have no weights
        return Tokens(torch.cat([first.ids, second.ids]), torch.cat([first.slots, second.slots]),
                      torch.cat([first.padding, second.padding]))
    if isinstance(first, Conditioning) and isinstance(second, Conditioning):
        pooled = None
        if first.pooled is not None and second.pooled is not None:
            pooled = torch.cat([first.pooled, second.pooled])
        return Conditioning(torch.cat([first.states, second.states]), pooled)
    raise TypeError("Encoded and tokenized prompts cannot be joined.")
