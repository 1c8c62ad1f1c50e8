"""What every kind of adapter can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch

from adapters.host import Host


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
