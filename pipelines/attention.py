"""Where the denoiser looks for a word: its cross-attention maps, kept for one resolution only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from adapters.host import Host
from adapters.text import Tokens


class AttentionProbe:
    """Mean attention probability of chosen token positions over heads and layers.

    Only layers in the down and up blocks whose queries are on an R x R grid count, and only their
    queries and keys are kept, so fused attention goes on everywhere. Make it after adapters are in.
    """

    def __init__(self, host: Host, resolution: int) -> None:
        self.host, self.resolution = host, resolution
        self._layers = {path: m for path, m in host.unet.named_modules()
                        if path.endswith(".attn2") and not path.startswith("mid_block")}
        self._seen: dict[str, list[torch.Tensor]] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Keep queries and keys of what passes while the block runs."""
        self._seen = {path: [] for path in self._layers}
        hooks = []
        for path, layer in self._layers.items():
            for projection in (layer.to_q, layer.to_k):
                hooks.append(projection.register_forward_hook(self._keep(path)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _keep(self, path: str) -> Any:
        def hook(_module: Any, _arguments: Any, out: torch.Tensor) -> None:
            kept = self._seen[path]
            if len(kept) < 2 and not (not kept and out.shape[1] != self.resolution**2):
                kept.append(out)

        return hook

    def maps(self, columns: torch.Tensor) -> torch.Tensor:
        """Attention at `columns` [B, N, T] (booleans) as [B, N, R, R]; several tokens are summed.

        Raises RuntimeError when no layer has that resolution.
        """
        with torch.autocast(self.host.device.type, enabled=False):
            found = [self._probabilities(path, *kept) for path, kept in self._seen.items() if len(kept) == 2]
            if not found:
                raise RuntimeError(f"No cross-attention layer of this base has {self.resolution} x "
                                   f"{self.resolution} queries.")
            mean = torch.stack(found).mean(0)
            picked: torch.Tensor = torch.einsum("bqt,bnt->bnq", mean, columns.to(mean))
        return picked.view(*picked.shape[:2], self.resolution, self.resolution)

    def _probabilities(self, path: str, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        """Softmax over all tokens, mean over heads: [B, R*R, T] in fp32."""
        layer: Any = self._layers[path]
        heads = layer.heads
        q, k = (x.float().unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key))
        found: torch.Tensor = (q @ k.transpose(-1, -2) * layer.scale).softmax(-1).mean(1)
        return found


class WordProbe(AttentionProbe):
    """A probe for learned words, in their order."""

    def __init__(self, host: Host, resolution: int, words: Sequence[str]) -> None:
        super().__init__(host, resolution)
        self.words = tuple(words)

    def read(self, tokens: Tokens) -> torch.Tensor:
        """Maps [B, N, R, R] of the words; zeros where a prompt does not have one."""
        return self.maps(torch.stack([self.host.text.positions(tokens, w) for w in self.words], 1))
