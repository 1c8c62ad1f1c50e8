"""Losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class DenoisingLoss:
    """Mean squared error of the prediction, weighted by noise level when `min_snr_gamma` is set."""

    prediction_type: str
    min_snr_gamma: float | None = None

    def __call__(self, prediction: Prediction, batch: Batch) -> Mapping[str, torch.Tensor]:
        error = (prediction.predicted - prediction.target).square().mean((1, 2, 3))
        if self.min_snr_gamma is not None:
            error = error * snr_weights(prediction.snr, self.min_snr_gamma, self.prediction_type)
        return {"denoising": error.mean()}
