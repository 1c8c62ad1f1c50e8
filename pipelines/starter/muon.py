"""Muon (Jordan et al., 2024) for convolutions and matrices, AdamW for everything else.

On two CPU cores samples are the scarce thing; orthogonalised momentum learns more from each.
`torch.optim.Muon` takes 2-D parameters only, and a UNet is mostly 4-D ones.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch


def orthogonalise(matrix: torch.Tensor, iterations: int = 5) -> torch.Tensor:
    """The nearest (semi-)orthogonal matrix to `matrix` [m, n], by quintic Newton-Schulz in bf16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    tall = x.size(0) > x.size(1)
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        # a X + (b G + c G^2) X, without a copy of X for every term.
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    back: torch.Tensor = x.T if tall else x
    return back.to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised per parameter (all but the first axis flattened)."""

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95,
                 weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                buffer = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(buffer, group["momentum"]).flatten(1)
                scale = max(1.0, update.size(0) / update.size(1)) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(orthogonalise(update).view_as(p), alpha=-group["lr"] * scale)


def split_parameters(
    model: torch.nn.Module,
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """(matrices for Muon, the rest for AdamW): text, embeddings, norms, biases, outer layers."""
    outer = ("text_encoder", "embedding", "conv_in", "conv_out", "quant_conv")
    matrices: list[torch.nn.Parameter] = []
    rest: list[torch.nn.Parameter] = []
    for name, p in model.named_parameters():
        inner = p.ndim >= 2 and not any(word in name for word in outer)
        (matrices if inner else rest).append(p)
    return matrices, rest


class MixedOptimizer:
    """Muon for a model's inner matrices and AdamW for the rest, stepped as one."""

    def __init__(self, model: torch.nn.Module, muon_rate: float, adam_rate: float,
                 weight_decay: float = 0.0) -> None:
        matrices, rest = split_parameters(model)
        self.parts: tuple[tuple[torch.optim.Optimizer, float], ...] = (
            (Muon(matrices, muon_rate, weight_decay=weight_decay), muon_rate),
            (torch.optim.AdamW(rest, adam_rate, betas=(0.9, 0.95), weight_decay=weight_decay,
                               fused=True), adam_rate),
        )

    def set_schedule(self, factor: float) -> None:
        """Set both learning rates to their peak times `factor`."""
        for optimizer, peak in self.parts:
            for group in optimizer.param_groups:
                group["lr"] = peak * factor

    def step(self) -> None:
        """Apply and clear the gradients."""
        for optimizer, _ in self.parts:
            optimizer.step()
            optimizer.zero_grad()

    def state_dict(self) -> dict[str, object]:
        """States of both parts."""
        return {str(n): o.state_dict() for n, (o, _) in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Inverse of `state_dict`."""
        for n, (optimizer, _) in enumerate(self.parts):
            optimizer.load_state_dict(state[str(n)])  # type: ignore[arg-type]
