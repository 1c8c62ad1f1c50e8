"""Several adapters that belong together, such as learned words and the LoRA trained with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from adapters.base import Adapter, Dial
from adapters.errors import StudioError
from adapters.host import Host


class BundleAdapter:
    """Parts by name, injected in their order and ejected backwards."""

    kind = "bundle"

    def __init__(self, parts: Mapping[str, Adapter]) -> None:
        self.parts = dict(parts)

    @property
    def spec(self) -> dict[str, Any]:
        """Kind and spec of every part."""
        return {"parts": {n: {"kind": p.kind, "spec": p.spec} for n, p in self.parts.items()}}

    def inject(self, host: Host, name: str) -> None:
        """All parts, or none when one refuses."""
        done: list[Adapter] = []
        try:
            for part_name, part in self.parts.items():
                part.inject(host, f"{name}_{part_name}")
                done.append(part)
        except BaseException:
            for part in reversed(done):
                part.eject()
            raise

    def eject(self) -> None:
        """The parts in reverse order."""
        for part in reversed(self.parts.values()):
            part.eject()

    def set_strength(self, strength: float) -> None:
        """The same for every part."""
        for part in self.parts.values():
            part.set_strength(strength)

    def on_prompt(self, host: Host, prompt: str, negative: str, guided: bool) -> None:
        """Tell every part."""
        for part in self.parts.values():
            part.on_prompt(host, prompt, negative, guided)

    def dials(self) -> Mapping[str, Dial]:
        """Those of all parts."""
        return {n: d for part in self.parts.values() for n, d in part.dials().items()}

    def set_dial(self, name: str, value: float | str) -> None:
        """Turn it on every part that has it."""
        mine = [p for p in self.parts.values() if name in p.dials()]
        if not mine:
            raise StudioError(f"This adapter has no '{name}' to turn; leave it out.")
        for part in mine:
            part.set_dial(name, value)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The parts' groups under their own names, which differ between kinds."""
        return {n: g for part in self.parts.values() for n, g in part.groups().items()}

    def state(self) -> dict[str, torch.Tensor]:
        """`<part>/<tensor>`."""
        return {f"{n}/{k}": t for n, part in self.parts.items() for k, t in part.state().items()}

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Inverse of `state`."""
        for n, part in self.parts.items():
            part.load_state(_of(n, tensors))

    @classmethod
    def from_file(cls, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str],
                  spec: Mapping[str, Any], file: str) -> BundleAdapter:
        """Rebuild every part from its share of the tensors."""
        from adapters.studio_file import KINDS

        try:
            listed = {str(n): (str(p["kind"]), dict(p["spec"])) for n, p in spec["parts"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StudioError(f"The header of '{file}' is damaged; take a fresh copy.") from error
        if unknown := [k for k, _ in listed.values() if k not in KINDS or k == cls.kind]:
            raise StudioError(f"'{file}' holds a '{unknown[0][:40]}' part, which this studio does not know; "
                              "update the studio.")
        return cls({n: KINDS[kind].from_file(dict(_of(n, tensors)), dict(metadata) | _settings(n, metadata), s, file)
                    for n, (kind, s) in listed.items()})

    def to_file(self) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """(tensors, metadata), each part's own under its name."""
        tensors: dict[str, torch.Tensor] = {}
        metadata = {"format": "pt"}
        for n, part in self.parts.items():
            mine, words = part.to_file()  # type: ignore[attr-defined]
            tensors |= {f"{n}/{k}": t for k, t in mine.items()}
            metadata |= {f"{n}/{k}": v for k, v in words.items() if k != "format"}
        return tensors, metadata


def _of(part: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k.removeprefix(f"{part}/"): t for k, t in tensors.items() if k.startswith(f"{part}/")}


def _settings(part: str, metadata: Mapping[str, str]) -> dict[str, str]:
    return {k.removeprefix(f"{part}/"): v for k, v in metadata.items() if k.startswith(f"{part}/")}
