"""C, the uncentred second moment of text encodings: what 'how much of the concept' is measured in."""

from __future__ import annotations

import torch

_NOISE = 1e-12  # of the largest eigenvalue: states are in single precision, so less is their rounding


class SecondMoment:
    """C = E[e e^T] over the tokens of many captions (Tewel et al., section 3), in double precision.

    Which tokens are pooled is not in the paper; here all that are no padding. A factor on C cancels in
    the edit.
    """

    def __init__(self, width: int) -> None:
        self.sum = torch.zeros(width, width, dtype=torch.float64)
        self.count = 0

    def add(self, states: torch.Tensor, padding: torch.Tensor) -> None:
        """Add encodings [B, T, d] where `padding` [B, T] is false."""
        kept = states[~padding].to("cpu", torch.float64)
        self.sum += kept.T @ kept
        self.count += len(kept)

    def matrix(self) -> torch.Tensor:
        """C [d, d], symmetric, fp64."""
        mean = self.sum / max(self.count, 1)
        return (mean + mean.T) / 2


def solver(matrix: torch.Tensor, ridge: float) -> torch.Tensor:
    """Cholesky factor [d, d] of C + ridge * mean eigenvalue * I, fp64.

    CLIP's C has a condition number of about 4e3 and needs no ridge; a small text encoder's had 1e8 and
    does. Raises RuntimeError when C is not positive definite, or so only by rounding.
    """
    d = len(matrix)
    damped = matrix + ridge * matrix.trace() / d * torch.eye(d, dtype=matrix.dtype)
    spectrum = torch.linalg.eigvalsh(damped)
    if spectrum[0] < _NOISE * spectrum[-1]:
        raise RuntimeError("The second moment does not span the space.")
    factor: torch.Tensor = torch.linalg.cholesky(damped)
    return factor


def whiten(factor: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
    """v = C^-1 i [d], in i's precision."""
    solved: torch.Tensor = torch.cholesky_solve(i.detach().to("cpu", torch.float64)[:, None], factor)[:, 0]
    return solved.to(i)
