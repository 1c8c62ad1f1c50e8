"""Losses that more than one method minimises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from pipelines.recipe import Batch, Prediction


def snr_weights(snr: torch.Tensor, gamma: float, prediction_type: str) -> torch.Tensor:
    """Min-SNR weights [B] (Hang et al., arXiv 2303.09556, eq. 9).

    min(SNR, gamma) / SNR for noise prediction, / (SNR + 1) for v-prediction. At SNR 0 the noise
    form is its limit, 1.
    """
    clipped = snr.clamp(max=gamma)
    if prediction_type == "v_prediction":
        return clipped / (snr + 1)
    return torch.where(snr > 0, clipped / snr.clamp(min=1e-12), torch.ones_like(snr))


def weighted_mean(error: torch.Tensor, mask: torch.Tensor | None,
                  normalise: Literal["area", "all"]) -> torch.Tensor:
    """Mean [B] of `error` [B, C, h, w] under `mask` [B, 1, h, w]: sum(m e) over sum(m) or over all."""
    if mask is None:
        return error.mean((1, 2, 3))
    if normalise == "all":
        return (mask * error).mean((1, 2, 3))
    return (mask * error.mean(1, keepdim=True)).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1e-6)


@dataclass(frozen=True)
class DenoisingLoss:
    """Mean squared error of the prediction.

    Weighted by noise level when `min_snr_gamma` is set, by the subject's mask where the batch has one,
    and with the class images of prior preservation (Ruiz et al., arXiv 2208.12242) as a second term
    that no mask weighs.
    """

    prediction_type: str
    min_snr_gamma: float | None = None
    normalise: Literal["area", "all"] = "area"
    prior_weight: float = 1.0

    def __call__(self, prediction: Prediction, batch: Batch) -> Mapping[str, torch.Tensor]:
        error = (prediction.predicted - prediction.target).square()
        own = len(error) - batch.prior
        union = batch.union
        mean = weighted_mean(error[:own], None if union is None else union[:own], self.normalise)
        prior = error[own:].mean((1, 2, 3))
        if self.min_snr_gamma is not None:
            weights = snr_weights(prediction.snr, self.min_snr_gamma, self.prediction_type)
            mean, prior = mean * weights[:own], prior * weights[own:]
        found = {"denoising": batch.weighed(mean).mean()}
        if batch.prior:
            found["prior"] = self.prior_weight * prior.mean()
        return found
