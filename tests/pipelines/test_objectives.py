from __future__ import annotations

import pytest
import torch

from pipelines.objectives import DenoisingLoss, snr_weights
from pipelines.recipe import Batch, Prediction

SNR = torch.tensor([0.0, 0.5, 5.0, 20.0])
BATCH = Batch(torch.zeros(1), torch.zeros(1))


@pytest.mark.parametrize(("kind", "expected"), [
    ("epsilon", [1, 1, 1, 0.25]),  # min(SNR, 5) / SNR, 1 in the limit at 0
    ("v_prediction", [0, 0.5 / 1.5, 5 / 6, 5 / 21]),  # min(SNR, 5) / (SNR + 1)
])
def test_min_snr_weights_by_hand(kind: str, expected: list[float]) -> None:
    torch.testing.assert_close(snr_weights(SNR, 5.0, kind), torch.tensor(expected), rtol=1e-6, atol=0)


def test_a_gamma_below_every_snr_is_gamma_over_snr() -> None:
    assert snr_weights(torch.tensor([2.0, 4.0]), 1.0, "epsilon").tolist() == [0.5, 0.25]


def test_noise_weights_stay_finite_at_the_smallest_snr() -> None:
    tiny = torch.tensor([0.0, 1e-30, 1e-12])
    weights = snr_weights(tiny, 5.0, "epsilon")
    assert torch.isfinite(weights).all() and (weights <= 1).all()


def prediction(snr: list[float]) -> Prediction:
    """Errors of 1 and 3 everywhere, so squares of 1 and 9."""
    target = torch.zeros(2, 4, 2, 2)
    predicted = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1).expand_as(target)
    return Prediction(predicted, target, torch.tensor(snr))


def test_without_gamma_the_loss_is_the_mean_square() -> None:
    assert DenoisingLoss("epsilon")(prediction([1, 1]), BATCH)["denoising"].item() == 5.0


@pytest.mark.parametrize(("kind", "expected"), [("epsilon", (1 * 1 + 9 * 0.5) / 2),
                                                ("v_prediction", (1 * 0.5 + 9 * 5 / 11) / 2)])
def test_with_gamma_each_picture_has_its_own_weight(kind: str, expected: float) -> None:
    loss = DenoisingLoss(kind, 5.0)(prediction([1.0, 10.0]), BATCH)["denoising"]
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_a_weight_multiplies_its_samples_loss_and_no_class_images() -> None:
    weighty = Batch(torch.zeros(1), torch.zeros(1), weights=torch.tensor([0.5, 2.0]))
    assert DenoisingLoss("epsilon")(prediction([1, 1]), weighty)["denoising"].item() == (0.5 * 1 + 2 * 9) / 2
    both = Batch(torch.zeros(1), torch.zeros(1), prior=1, weights=torch.tensor([0.5]))
    found = DenoisingLoss("epsilon")(prediction([1, 1]), both)
    assert (found["denoising"].item(), found["prior"].item()) == (0.5, 9.0)


def test_a_weight_scales_the_gradient_of_its_sample() -> None:
    predicted = torch.ones(2, 4, 2, 2, requires_grad=True)
    batch = Batch(torch.zeros(1), torch.zeros(1), weights=torch.tensor([0.25, 1.0]))
    asked = Prediction(predicted, torch.zeros(2, 4, 2, 2), torch.ones(2))
    DenoisingLoss("epsilon")(asked, batch)["denoising"].backward()
    assert predicted.grad is not None and torch.equal(predicted.grad[0], predicted.grad[1] / 4)
