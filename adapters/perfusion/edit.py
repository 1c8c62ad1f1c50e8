"""The gated rank-1 edit of a base's keys and values, for any number of concepts at once.

With J concepts, i_a the concept's input and v_a = C^-1 i_a (Tewel et al., eq. 3 and 4, appendix B):

    s_na  = e_n . v_a          G_ab = i_a . v_b          r_na = sum_b (G^-1)_ab s_nb
    h_n   = W e_n - sum_a r_na (W i_a) + sum_a sigmoid((s_na / G_aa - beta_a) / tau_a) o_a

For one concept that is equation 3 in its cheap form. The gate multiplies the target alone; the
concept's own component is always taken out.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F

from adapters.errors import StudioError
from adapters.host import Host

NEAR = 0.99  # cosine under C^-1 from which two concepts cannot be told apart


@dataclass
class Concept:
    """One edit. `i` and `v` are [d]; `targets` maps a layer's name to o* [out]; all fp32."""

    word: str
    noun: str
    i: torch.Tensor
    v: torch.Tensor
    targets: dict[str, torch.Tensor]
    bias: float = 0.75
    temperature: float = 0.1
    strength: float = 1.0
    negative_too: bool = True
    lock_all_keys: bool = False
    inputs: dict[str, torch.Tensor] = field(default_factory=dict)
    """W i* by layer, kept until i* moves."""


def gates(states: torch.Tensor, concepts: Sequence[Concept], *,
          orthogonal: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """(removal r, gate), both [B, T, J] in fp32, for states [B, T, d].

    Not `orthogonal`, each concept takes out its own share as if it were alone (the ablation of appendix B).
    """
    v = torch.stack([c.v for c in concepts]).to(states.device)
    i = torch.stack([c.i for c in concepts]).to(states.device)
    gram = i @ v.T
    gram = (gram + gram.T) / 2
    shares = states.float() @ v.T
    removal = shares / gram.diagonal()
    if orthogonal:
        removal = torch.linalg.solve(gram, shares.flatten(0, 1).T).T.view_as(shares)
    bias = shares.new_tensor([c.bias for c in concepts])
    temperature = shares.new_tensor([c.temperature for c in concepts])
    return removal, torch.sigmoid((shares / gram.diagonal() - bias) / temperature)


def check_apart(concepts: Sequence[Concept]) -> None:
    """Raise StudioError, naming both, when two concepts point the same way."""
    for n, a in enumerate(concepts):
        for b in concepts[:n]:
            cosine = float(a.i @ b.v) / float((a.i @ a.v) * (b.i @ b.v)) ** 0.5
            if abs(cosine) > NEAR:
                raise StudioError(f"'{b.word}' and '{a.word}' are too much alike to be told apart (likeness "
                                  f"{abs(cosine):.3f} of 1); use one of the two.")


class Editor:
    """All Perfusion concepts in one host: forward hooks on its cross-attention keys and values."""

    orthogonal = True
    """Off only to measure what it is good for."""

    def __init__(self, host: Host) -> None:
        self.concepts: list[Concept] = []
        self.locked: torch.Tensor | None = None
        """States [1 or B, T, d] that all keys are computed from: global key locking."""
        self.guided = False
        """Whether the first half of every batch is the negative prompt's."""
        self._hooks = [module.register_forward_hook(self._edit(path))
                       for path, module in host.cross_attention().items()]
        self._seen: tuple[Any, tuple[torch.Tensor, torch.Tensor]] | None = None

    @classmethod
    def of(cls, host: Host) -> Editor:
        """The host's editor, made when the first concept comes."""
        found: Editor = host.shared.setdefault("perfusion", None) or cls(host)
        host.shared["perfusion"] = found
        return found

    def add(self, concept: Concept) -> None:
        """Raise StudioError when it cannot be told from one that is in."""
        check_apart([*self.concepts, concept])
        self.concepts.append(concept)
        self.forget()

    def remove(self, concept: Concept, host: Host) -> None:
        """Take one out; with the last one the hooks go."""
        self.concepts = [c for c in self.concepts if c is not concept]
        self.locked = None
        self.forget()
        if not self.concepts:
            for hook in self._hooks:
                hook.remove()
            host.shared.pop("perfusion", None)

    def forget(self) -> None:
        """Drop what was computed from numbers that have changed."""
        self._seen = None

    def _gates(self, states: torch.Tensor, live: list[Concept]) -> tuple[torch.Tensor, torch.Tensor]:
        """The same for every layer of a pass, so computed once for one states tensor.

        Not while learning: gradient checkpointing runs the layers again and must find the same work.
        """
        if torch.is_grad_enabled():
            return gates(states, live, orthogonal=self.orthogonal)
        if self._seen is None or self._seen[0]() is not states:
            self._seen = (weakref.ref(states), gates(states, live, orthogonal=self.orthogonal))
        return self._seen[1]

    def on_prompt(self, host: Host, prompt: str, negative: str, guided: bool) -> None:
        """Global key locking: keys come from the prompt with each superclass in its concept's place.

        A noun of several tokens stands there by its last one, so that keys and values stay in step.
        """
        self.guided, self.locked = guided, None
        if not any(c.lock_all_keys for c in self.concepts):
            return
        tokens = host.text.tokenize_weighted([negative, prompt] if guided else [prompt])
        ids, slots = tokens.ids.clone(), tokens.slots.clone()
        for c in self.concepts:
            where = host.text.positions(tokens, c.word)
            ids[where], slots[where] = host.text.pieces(c.noun)[-1], -1
        with torch.no_grad():
            text = host.text.encode(replace(tokens, ids=ids, slots=slots))
        self.locked = torch.cat([host.text.negative(text[:1], negative).states, text.states[1:]]) if guided \
            else text.states

    def _edit(self, path: str) -> Any:
        is_key = path.endswith("to_k")

        def hook(module: Any, arguments: tuple[torch.Tensor, ...], out: torch.Tensor) -> torch.Tensor:
            live = [c for c in self.concepts if c.strength != 0]
            if not live:
                return out
            with torch.autocast(out.device.type, enabled=False):
                weight = module.weight.float()
                if is_key and self.locked is not None:
                    keys = F.linear(self.locked.float(), weight)
                    return keys.repeat_interleave(len(out) // len(keys), 0).to(out.dtype)
                removal, gate = self._gates(arguments[0], live)
                strength = gate.new_tensor([c.strength for c in live])
                targets = torch.stack([c.targets[path].to(gate) for c in live])
                change = (gate * strength) @ targets - (removal * strength) @ self._inputs(path, weight, live)
                if self.guided and not all(c.negative_too for c in live):
                    change = torch.cat([torch.zeros_like(change[: len(change) // 2]),
                                        change[len(change) // 2:]])
                return out + change.to(out.dtype)

        return hook

    def _inputs(self, path: str, weight: torch.Tensor, live: list[Concept]) -> torch.Tensor:
        for c in live:
            if path not in c.inputs:
                c.inputs[path] = F.linear(c.i.to(weight), weight).detach()
        return torch.stack([c.inputs[path].to(weight) for c in live])
