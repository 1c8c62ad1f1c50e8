"""What every kind of adapter can do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from adapters.errors import StudioError
from adapters.host import Host


@dataclass(frozen=True)
class Dial:
    """A live control: its value as trained, and a range (low, high) or the words to choose from."""

    default: float | str
    range: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    help: str = ""

    def check(self, name: str, value: float | str) -> float | str:
        """`value` in its type, or StudioError."""
        if self.choices:
            if value in self.choices:
                return value
            raise StudioError(f"'{name}' cannot be '{value}'; choose one of: {', '.join(self.choices)}.")
        low, high = self.range or (-math.inf, math.inf)
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise StudioError(f"'{name}' cannot be {value}; give a number from {low:g} to {high:g}.")
        return number


class Plain:
    """For adapters without live controls, which do not care what the prompt is."""

    def on_prompt(self, host: Host, prompt: str, negative: str, guided: bool) -> None:
        """Nothing to do."""

    def dials(self) -> Mapping[str, Dial]:
        """None."""
        return {}

    def set_dial(self, name: str, value: float | str) -> None:
        """Always a StudioError: there is nothing to turn."""
        raise StudioError(f"This kind of adapter has no '{name}' to turn; leave it out.")


class Adapter(Protocol):
    """Something that is added to a frozen base.

    `inject` then `eject` leaves the host as it was: the module tree by `repr`, outputs bit for bit.
    """

    kind: str

    @property
    def spec(self) -> dict[str, Any]:
        """Just what rebuilding needs besides the tensors."""
        ...

    def inject(self, host: Host, name: str) -> None:
        """Put it into the host under a name unique there."""
        ...

    def eject(self) -> None:
        """Take it out; harmless when it is not in."""
        ...

    def on_prompt(self, host: Host, prompt: str, negative: str, guided: bool) -> None:
        """Called before a picture is painted: `guided` says that the batch is [negative, prompt]."""
        ...

    def dials(self) -> Mapping[str, Dial]:
        """What can be turned while painting, besides the strength; empty for most kinds."""
        ...

    def set_dial(self, name: str, value: float | str) -> None:
        """Turn one of `dials`; StudioError when there is none of that name or the value is out of range."""
        ...

    def set_strength(self, strength: float) -> None:
        """0 is off, 1 is as trained."""
        ...

    def groups(self) -> dict[str, list[torch.nn.Parameter]]:
        """Trainable parameters by role, for learning rates; only while injected."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """The learned tensors, detached."""
        ...

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Inverse of `state`, into the injected parameters."""
        ...
