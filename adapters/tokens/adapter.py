"""Learned words in a host's text encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from adapters.base import Plain
from adapters.errors import StudioError
from adapters.host import Host

_SPREAD = 0.01  # of an embedding's own spread: what sets the vectors of one word apart at the start


class TokensAdapter(Plain):
    """Words, each of k vectors per text encoder; everything else of the base stays as it is."""

    kind = "tokens"

    def __init__(self, vectors: Mapping[str, Sequence[torch.Tensor]]) -> None:
        """`vectors` maps each word, such as '<mycat>', to one [k, d] tensor per text encoder."""
        self._words = {w: tuple(nn.Parameter(v.detach().clone().float()) for v in rows)
                       for w, rows in vectors.items()}
        self._host: Host | None = None
        self._strength = 1.0

    @classmethod
    def for_training(cls, host: Host, words: Mapping[str, str], *, vectors: int = 1) -> TokensAdapter:
        """Each word starts at the mean vector of its initialiser's tokens ('<mycat>' at 'cat').

        Further vectors of a word start beside the first, apart by a hundredth of the table's spread.
        """
        made: dict[str, list[torch.Tensor]] = {}
        for word, initialiser in words.items():
            ids = host.text.pieces(initialiser)
            if not ids:
                raise StudioError(f"'{initialiser}' has no letters to start '{word}' from; give a plain noun.")
            made[word] = []
            for n in range(len(host.text.encoders)):
                table = host.text.embedding(n).weight.detach().float()
                start = table[ids].mean(0, keepdim=True).repeat(vectors, 1)
                start[1:] += _SPREAD * table.std() * torch.randn(vectors - 1, table.shape[1]).to(start)
                made[word].append(start)
        return cls(made)

    @property
    def words(self) -> tuple[str, ...]:
        """The learned words."""
        return tuple(self._words)

    @property
    def spec(self) -> dict[str, Any]:
        """The words and how many vectors each has."""
        return {"words": {w: len(rows[0]) for w, rows in self._words.items()}}

    def vectors(self) -> dict[str, tuple[torch.Tensor, ...]]:
        """Detached copies on the CPU: word to one [k, d] tensor per text encoder."""
        return {w: tuple(r.detach().cpu().clone() for r in rows) for w, rows in self._words.items()}

    def inject(self, host: Host, name: str) -> None:
        """Make the words known; all or none of them."""
        if self._host is not None:
            raise RuntimeError("This adapter is in a host already.")
        added: list[str] = []
        try:
            for word, rows in self._words.items():
                for encoder, row in enumerate(rows[:len(host.text.encoders)]):
                    row.data = row.data.to(host.text.embedding(encoder).weight.device)
                host.text.add_word(word, rows)
                added.append(word)
        except StudioError:
            for word in added:
                host.text.remove_word(word)
            raise
        self._host = host

    def eject(self) -> None:
        """Make the words unknown again."""
        if self._host is None:
            return
        for word in self._words:
            self._host.text.remove_word(word)
        self._host = None

    def set_strength(self, strength: float) -> None:
        """A word has no strength of its own: 0 and 1 alike paint it where the prompt names it."""
        self._strength = strength

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """One group, 'tokens'."""
        return {"tokens": [row for rows in self._words.values() for row in rows]}

    def state(self) -> dict[str, torch.Tensor]:
        """`<word>.<encoder>` to [k, d], on the CPU."""
        return {f"{w}.{n}": row for w, rows in self.vectors().items() for n, row in enumerate(rows)}

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Inverse of `state`."""
        mine = {f"{w}.{n}": row for w, rows in self._words.items() for n, row in enumerate(rows)}
        if mine.keys() != tensors.keys() or any(mine[k].shape != t.shape for k, t in tensors.items()):
            raise StudioError("The learned words do not match those of this adapter; take a fresh copy.")
        with torch.no_grad():
            for key, row in mine.items():
                row.copy_(tensors[key])

    @classmethod
    def from_file(cls, tensors: Mapping[str, torch.Tensor], _metadata: Mapping[str, str],
                  spec: Mapping[str, Any], file: str) -> TokensAdapter:
        """Read the studio's own file."""
        words: dict[str, list[torch.Tensor]] = {}
        for key in sorted(tensors):
            word, _, encoder = key.rpartition(".")
            if not word or encoder not in ("0", "1") or tensors[key].ndim != 2:
                raise StudioError(f"'{file}' holds '{key[:60]}', which is no learned word; take a fresh copy.")
            words.setdefault(word, []).append(tensors[key])
        if not words or set(words) != set(spec.get("words", {})):
            raise StudioError(f"'{file}' does not hold the words that its header names; take a fresh copy.")
        return cls({w: words[w] for w in spec["words"]})

    def to_file(self) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """(tensors, metadata)."""
        return self.state(), {"format": "pt"}
