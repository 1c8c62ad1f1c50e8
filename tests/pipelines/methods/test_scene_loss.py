"""Break-A-Scene's losses by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pipelines.methods.break_a_scene.scene import SceneLoss, attention_loss
from pipelines.objectives import snr_weights
from pipelines.recipe import Batch, Prediction

TEXT: Any = torch.zeros(1)


def half(side: int = 8) -> torch.Tensor:
    """The left half [side, side]."""
    made = torch.zeros(side, side)
    made[:, : side // 2] = 1
    return made


def asked(predicted: torch.Tensor, target: torch.Tensor, masks: torch.Tensor | None, *, prior: int = 0,
          attention: torch.Tensor | None = None, **options: Any) -> dict[str, torch.Tensor]:
    batch = Batch(target, TEXT, masks, prior)
    snr = torch.linspace(1, 20, len(target))
    return dict(SceneLoss("epsilon", **options)(Prediction(predicted, target, snr, attention), batch))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# reconstruction


def test_outside_the_union_nothing_counts_and_the_gradient_is_exactly_0() -> None:
    predicted, target = noise(2, 4, 8, 8).requires_grad_(), noise(2, 4, 8, 8, seed=1)
    masks = torch.zeros(2, 3, 8, 8)
    masks[:, 0, :2], masks[:, 1, :, :3] = 1, 1
    union = masks.amax(1, keepdim=True).expand_as(predicted)
    loss = asked(predicted, target, masks)["denoising"]
    loss.backward()
    assert predicted.grad is not None
    assert not predicted.grad[union == 0].any() and (predicted.grad[union == 1] != 0).all()
    changed = torch.where(union == 0, noise(2, 4, 8, 8, seed=2) * 100, predicted.detach())
    assert torch.equal(asked(changed, target, masks)["denoising"], loss.detach())


def test_a_mask_of_ones_is_the_plain_mean_square() -> None:
    predicted, target = noise(2, 4, 8, 8), noise(2, 4, 8, 8, seed=1)
    expected = (predicted - target).square().mean((1, 2, 3)).mean()
    assert torch.equal(asked(predicted, target, torch.ones(2, 1, 8, 8))["denoising"], expected)
    assert torch.equal(asked(predicted, target, None)["denoising"], expected)


def test_half_of_the_area_at_a_constant_error_is_half_of_the_loss() -> None:
    """The mean is over all elements and not over the mask's area."""
    loss = asked(torch.full((2, 4, 8, 8), 3.0), torch.zeros(2, 4, 8, 8), half().expand(2, 1, 8, 8))
    assert loss["denoising"].item() == 4.5


def test_each_sample_has_its_own_union() -> None:
    masks = torch.zeros(2, 2, 8, 8)
    masks[0, 0], masks[1, 1] = half(), 1 - half()
    error = torch.zeros(2, 4, 8, 8)
    error[0, :, :, :4] = 2
    assert asked(error, torch.zeros_like(error), masks)["denoising"].item() == 1.0  # (4 / 2 + 0) / 2
    assert asked(error.flip(0), torch.zeros_like(error), masks)["denoising"].item() == 0.0


def test_the_ablation_without_masks_looks_everywhere() -> None:
    predicted, target = noise(2, 4, 8, 8), noise(2, 4, 8, 8, seed=1)
    found = asked(predicted, target, half().expand(2, 1, 8, 8), masked=False)["denoising"]
    assert torch.equal(found, (predicted - target).square().mean((1, 2, 3)).mean())


# prior preservation


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_class_images_are_a_term_of_their_own_that_no_mask_touches(weight: float) -> None:
    predicted, target = noise(4, 4, 8, 8), noise(4, 4, 8, 8, seed=1)
    masks = torch.cat([half().expand(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)])
    found = asked(predicted, target, masks, prior=2, prior_weight=weight)
    alone = asked(predicted[:2], target[:2], masks[:2])
    assert torch.equal(found["denoising"], alone["denoising"])
    assert torch.equal(found["prior"], weight * (predicted[2:] - target[2:]).square().mean((1, 2, 3)).mean())


def test_min_snr_weighs_each_sample_by_its_own_noise() -> None:
    predicted, target = noise(4, 4, 8, 8), noise(4, 4, 8, 8, seed=1)
    found = asked(predicted, target, torch.ones(4, 1, 8, 8), prior=2, min_snr_gamma=5.0)
    error = (predicted - target).square().mean((1, 2, 3)) * snr_weights(torch.linspace(1, 20, 4), 5.0, "epsilon")
    assert torch.equal(found["denoising"], error[:2].mean()) and torch.equal(found["prior"], error[2:].mean())


# attention


@pytest.mark.parametrize("scale", [1.0, 0.015625, 7.0])
def test_attention_that_is_the_mask_up_to_a_factor_costs_nothing(scale: float) -> None:
    masks = torch.stack([half(32), 1 - half(32)]).expand(2, 2, 32, 32)
    maps = torch.stack([half(16), 1 - half(16)]).expand(2, 2, 16, 16)
    assert attention_loss(scale * maps, masks).item() == 0


def test_the_loss_is_free_of_the_maps_scale() -> None:
    maps, masks = noise(2, 2, 16, 16).abs(), half(32).expand(2, 2, 32, 32)
    scaled = maps * torch.tensor([0.25, 8.0]).view(1, 2, 1, 1)
    assert torch.equal(attention_loss(scaled, masks), attention_loss(maps, masks)) and attention_loss(maps, masks) > 0


@pytest.mark.parametrize("side", [16, 32])
def test_one_wrong_pixel_is_one_part_of_the_grid(side: int) -> None:
    maps = half(side).expand(1, 1, side, side).clone()
    maps[0, 0, 3, side - 1] = 1
    assert attention_loss(maps, half(64).expand(1, 1, 64, 64)).item() == 1 / side**2


def test_concepts_add_up_and_samples_are_averaged() -> None:
    maps = half(16).expand(2, 3, 16, 16).clone()
    for sample, concept in ((0, 0), (0, 1), (1, 2)):
        maps[sample, concept, 0, 15] = 1
    assert attention_loss(maps, half(32).expand(2, 3, 32, 32)).item() == 1.5 / 256


def test_a_concept_that_is_not_in_the_prompt_does_not_count() -> None:
    maps, masks = noise(1, 2, 16, 16).abs(), half(32).expand(1, 2, 32, 32).clone()
    masks[0, 1] = 0
    expected = attention_loss(maps[:, :1], masks[:, :1])
    assert torch.equal(attention_loss(maps, masks), expected)
    maps[0, 1] = 0  # as the probe leaves it
    maps.requires_grad_()
    attention_loss(maps, masks).backward()
    assert maps.grad is not None and torch.isfinite(maps.grad).all() and not maps.grad[0, 1].any()


def test_masks_come_to_the_maps_grid_by_the_nearest_pixel() -> None:
    masks = torch.zeros(1, 1, 32, 32)
    masks[0, 0, 0, 0] = masks[0, 0, 5, 5] = 1  # the second lies between the grid's pixels
    maps = torch.zeros(1, 1, 16, 16)
    maps[0, 0, 0, 0] = 1
    assert attention_loss(maps, masks).item() == 0


def test_the_maximum_is_part_of_the_gradient() -> None:
    """As in the authors' code, which does not detach it."""
    maps = noise(1, 1, 4, 4).abs().double().requires_grad_()
    masks = half(4).expand(1, 1, 4, 4).double()
    assert torch.autograd.gradcheck(lambda a: attention_loss(a, masks), (maps,))


@pytest.mark.parametrize("weight", [0.01, 1.0])
def test_the_attention_loss_is_of_the_own_pictures_at_its_weight(weight: float) -> None:
    zero, maps = torch.zeros(4, 4, 8, 8), noise(4, 2, 4, 4).abs()
    masks = half().expand(4, 2, 8, 8)
    found = asked(zero, zero, masks, prior=2, attention=maps, attention_weight=weight)
    assert torch.equal(found["attention"], weight * attention_loss(maps[:2], masks[:2]))
    assert "attention" not in asked(zero, zero, masks, attention=maps, attention_weight=0)


def test_a_weight_multiplies_reconstruction_and_attention_of_its_sample() -> None:
    maps = half(16).expand(2, 1, 16, 16).clone()
    maps[0, 0, 0, 15] = 1  # the first sample alone is wrong
    error = torch.zeros(2, 4, 8, 8)
    error[0] = 2
    batch = Batch(error, TEXT, half(32).expand(2, 1, 32, 32), weights=torch.tensor([0.25, 9.0]))
    prediction = Prediction(error, torch.zeros_like(error), torch.ones(2), maps)
    found = SceneLoss("epsilon", 1.0, masked=False)(prediction, batch)
    assert found["denoising"].item() == 0.25 * 4 / 2
    assert found["attention"].item() == 0.25 / 256 / 2
