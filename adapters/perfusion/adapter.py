"""One Perfusion concept: a learned word, and what the keys and values answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from adapters.base import Dial
from adapters.errors import StudioError
from adapters.host import Host
from adapters.perfusion.edit import Concept, Editor
from adapters.perfusion.encoder import encoder_hash
from adapters.perfusion.second_moment import whiten

_DIALS = {
    "bias": Dial(0.75, (0.0, 1.5), help="Lower shows the concept more strongly (beta)."),
    "temperature": Dial(0.1, (0.001, 2.0), help="How softly the edit sets in (tau)."),
    "locking": Dial("local", choices=("local", "global"),
                    help="Keys locked at the concept's word, or for the whole prompt."),
    "branches": Dial("both", choices=("both", "prompt"),
                     help="Whether the edit also serves the negative prompt's branch."),
}


class PerfusionAdapter:
    """A word's embedding, i*, C^-1 i*, and per cross-attention layer the key and value targets o*.

    Trained are the embedding and the value targets (groups 'tokens' and 'values'); i* follows by a
    moving average; the key targets are locked to the superclass.
    """

    kind = "perfusion"

    def __init__(self, word: str, noun: str, embedding: tuple[torch.Tensor, ...], i: torch.Tensor,
                 v: torch.Tensor, targets: Mapping[str, torch.Tensor], *, bias: float = 0.75,
                 temperature: float = 0.1, encoder: str = "") -> None:
        """`embedding` is [1, d_e] per text encoder, `i` and `v` [d], `targets` [out] by layer name; `encoder` is the
        `encoder_hash` of the base that it was trained on, '' when unknown."""
        self.word, self.noun, self.encoder = word, noun, encoder
        self.trained = {"bias": bias, "temperature": temperature}
        self._rows = tuple(nn.Parameter(e.detach().clone().float()) for e in embedding)
        self._targets = {k: nn.Parameter(t.detach().clone().float(), requires_grad=False)
                         for k, t in targets.items()}
        self.concept = Concept(word, noun, i.detach().clone().float(), v.detach().clone().float(),
                               dict(self._targets), bias, temperature)
        self._host: Host | None = None
        self._factor: torch.Tensor | None = None
        self._seen: list[torch.Tensor] = []

    @classmethod
    def for_training(cls, host: Host, word: str, noun: str, superclass: torch.Tensor,
                     factor: torch.Tensor, *, bias: float, temperature: float) -> PerfusionAdapter:
        """Start at the superclass: i* = e_super [d], o* = W e_super, the word's vector the noun's.

        `factor` is C's Cholesky factor (`second_moment.solver`).
        """
        from adapters.tokens import TokensAdapter

        rows = TokensAdapter.for_training(host, {word: noun}).vectors()[word]
        targets = {path: F.linear(superclass.float(), module.weight.detach().float())
                   for path, module in host.cross_attention().items()}
        made = cls(word, noun, rows, superclass, whiten(factor, superclass.float()), targets, bias=bias,
                   temperature=temperature, encoder=encoder_hash(host))
        made._factor = factor
        return made

    @property
    def spec(self) -> dict[str, Any]:
        """The words, bias and temperature as trained, and the text encoder where it is known."""
        return {"word": self.word, "noun": self.noun, **self.trained,
                **({"encoder": self.encoder} if self.encoder else {})}

    def inject(self, host: Host, name: str) -> None:
        """Make the word known and edit the keys and values."""
        if self._host is not None:
            raise RuntimeError("This adapter is in a host already.")
        layers = {p: m.weight.shape[0] for p, m in host.cross_attention().items()}
        if {p: len(t) for p, t in self._targets.items()} != layers:
            raise StudioError(f"'{self.word}' was trained for another base: its cross-attention layers are not "
                              "those of this one; choose the base that it was trained for.")
        if self.encoder and encoder_hash(host) not in ("", self.encoder):
            raise StudioError(f"'{self.word}' was trained with another text encoder than the base "
                              f"'{host.identity.name}' has; choose the base that it was trained for.")
        device = host.device
        for row in self._rows:
            row.data = row.data.to(device)
        for target in self._targets.values():
            target.data = target.data.to(device)
        concept = self.concept
        concept.i, concept.v, concept.targets = concept.i.to(device), concept.v.to(device), dict(self._targets)
        concept.inputs.clear()
        host.text.add_word(self.word, self._rows)
        try:
            Editor.of(host).add(concept)
        except StudioError:
            host.text.remove_word(self.word)
            raise
        self._host = host

    def eject(self) -> None:
        """Take word and edit out; the base's outputs are as before, bit for bit."""
        if self._host is None:
            return
        Editor.of(self._host).remove(self.concept, self._host)
        self._host.text.remove_word(self.word)
        self._host = None

    # painting

    def set_strength(self, strength: float) -> None:
        """How much of the edit is applied; at 0 it is bypassed."""
        self.concept.strength = strength
        if self._host is not None:
            Editor.of(self._host).forget()

    def dials(self) -> Mapping[str, Dial]:
        """Bias and temperature, local or global key locking, and which guidance branches are edited."""
        return {name: Dial(self.trained.get(name, d.default), d.range, d.choices, d.help)
                for name, d in _DIALS.items()}

    def set_dial(self, name: str, value: float | str) -> None:
        """Turn one of `dials`."""
        if name not in _DIALS:
            raise StudioError(f"Perfusion has no '{name}' to turn; choose one of: {', '.join(_DIALS)}.")
        value = _DIALS[name].check(name, value)
        if name == "bias":
            self.concept.bias = float(value)
        elif name == "temperature":
            self.concept.temperature = float(value)
        elif name == "locking":
            self.concept.lock_all_keys = value == "global"
        else:
            self.concept.negative_too = value == "both"
        if self._host is not None:
            Editor.of(self._host).forget()

    def on_prompt(self, host: Host, prompt: str, negative: str, guided: bool) -> None:
        """Global locking takes the keys from the prompt with the superclass in the concept's place."""
        Editor.of(host).on_prompt(host, prompt, negative, guided)

    # learning

    def observe(self, states: torch.Tensor, where: torch.Tensor) -> None:
        """Take note of the concept's encodings: states [B, T, d] where `where` [B, T] is true."""
        if where.any():
            self._seen.append(states.detach().float()[where].mean(0))

    def stepped(self, decay: float = 0.99) -> None:
        """After an optimizer step: i* <- decay i* + (1 - decay) mean(e_concept), once, whatever the
        accumulation (Tewel et al., section 4.1)."""
        if not self._seen or self._factor is None or self._host is None:
            return
        mean = torch.stack(self._seen).mean(0)
        self._seen.clear()
        i = decay * self.concept.i + (1 - decay) * mean
        self._place(i, whiten(self._factor, i))

    def _place(self, i: torch.Tensor, v: torch.Tensor) -> None:
        self.concept.i = i
        self.concept.v = v
        self.concept.inputs.clear()
        if self._host is not None:
            Editor.of(self._host).forget()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """'tokens': the embedding; 'values', 'keys': o* of every value and every key layer."""
        return {"tokens": list(self._rows),
                "keys": [t for p, t in self._targets.items() if p.endswith("to_k")],
                "values": [t for p, t in self._targets.items() if p.endswith("to_v")]}

    # files

    def state(self) -> dict[str, torch.Tensor]:
        """`token.<encoder>`, `i`, `v`, `target.<layer>`, on the CPU."""
        found = {f"token.{n}": r for n, r in enumerate(self._rows)}
        return {k: t.detach().cpu().clone() for k, t in
                (found | {"i": self.concept.i, "v": self.concept.v}
                 | {f"target.{p}": t for p, t in self._targets.items()}).items()}

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Inverse of `state`."""
        mine = self.state()
        if mine.keys() != tensors.keys() or any(mine[k].shape != t.shape for k, t in tensors.items()):
            raise StudioError(f"The tensors do not match those of '{self.word}'; take a fresh copy of the file.")
        with torch.no_grad():
            for n, row in enumerate(self._rows):
                row.copy_(tensors[f"token.{n}"])
            for path, target in self._targets.items():
                target.copy_(tensors[f"target.{path}"])
        self._place(tensors["i"].to(self.concept.i), tensors["v"].to(self.concept.v))

    @classmethod
    def from_file(cls, tensors: Mapping[str, torch.Tensor], _metadata: Mapping[str, str],
                  spec: Mapping[str, Any], file: str) -> PerfusionAdapter:
        """Read the studio's own file."""
        rows = tuple(tensors[k] for k in ("token.0", "token.1") if k in tensors)
        targets = {k.removeprefix("target."): t for k, t in tensors.items() if k.startswith("target.")}
        whole = {"i", "v"} <= tensors.keys() and rows and targets and len(rows) + len(targets) + 2 == len(tensors)
        shaped = whole and all(r.ndim == 2 for r in rows) and all(t.ndim == 1 for t in targets.values()) \
            and tensors["i"].shape == tensors["v"].shape
        try:
            word, noun = str(spec["word"]), str(spec["noun"])
            bias, temperature = float(spec["bias"]), float(spec["temperature"])
        except (KeyError, TypeError, ValueError) as error:
            raise StudioError(f"The header of '{file}' is damaged; take a fresh copy.") from error
        if not shaped or not 0 < temperature < 100:
            raise StudioError(f"'{file}' is no whole Perfusion concept; take a fresh copy.")
        return cls(word, noun, rows, tensors["i"], tensors["v"], targets, bias=bias, temperature=temperature,
                   encoder=str(spec.get("encoder", "")))

    def to_file(self) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """(tensors, metadata)."""
        return self.state(), {"format": "pt"}
