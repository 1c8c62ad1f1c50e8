"""Break-A-Scene's samples and losses (Avrahami et al., arXiv 2305.16311, section 3)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from adapters.host import Host
from adapters.text import Tokens
from pipelines.dataset import LatentDataset
from pipelines.objectives import snr_weights
from pipelines.recipe import Batch, Prediction

_SUBSETS_KEPT = 5  # concepts up to which every ordered subset's prompt is tokenized once


def prompt_of(words: Sequence[str]) -> str:
    """'a photo of <a> and <b>'."""
    return "a photo of " + " and ".join(words)


def with_background(masks: torch.Tensor) -> torch.Tensor:
    """Hard masks [V, N, h, w] and one layer more: what no other covers, so that together they cover all.

    Made on the grid and not in pixels, where rounding would leave gaps along the masks' edges.
    """
    return torch.cat([masks, 1 - masks.amax(1, keepdim=True)], 1)


class UnionSamples:
    """Union sampling: k ~ Uniform{1..N}, then a random k-subset in random order, for every sample.

    Masks of concepts that were not chosen are zero, so that the batch's union is that of the subset.
    """

    def __init__(self, host: Host, views: LatentDataset, words: Sequence[str], *, union: bool = True) -> None:
        """`views` has one mask layer for each of `words`, in their order."""
        self.host, self.views, self.words, self.union = host, views, tuple(words), union
        self._tokens: dict[tuple[int, ...], Tokens] = {}

    def _tokens_of(self, subset: tuple[int, ...]) -> Tokens:
        if subset not in self._tokens:
            if len(self._tokens) > sum(1 for k in range(_SUBSETS_KEPT)
                                       for _ in itertools.permutations(range(_SUBSETS_KEPT), k + 1)):
                self._tokens.clear()
            self._tokens[subset] = self.host.text.tokenize([prompt_of([self.words[i] for i in subset])])
        return self._tokens[subset]

    def sample(self, generator: torch.Generator, batch: int) -> Batch:
        """A random batch of views, each under its own subset's prompt."""
        count = len(self.words)
        device = self.views.latents.device
        views = self.views.choose(generator, batch).to(device)
        chosen = torch.zeros(batch, count)
        subsets = []
        for n in range(batch):
            k = int(torch.randint(count, (), generator=generator)) + 1 if self.union else count
            subset = tuple(torch.randperm(count, generator=generator)[:k].tolist())
            chosen[n, list(subset)] = 1
            subsets.append(self._tokens_of(subset))
        tokens = Tokens(torch.cat([t.ids for t in subsets]), torch.cat([t.slots for t in subsets]),
                        torch.cat([t.padding for t in subsets]))
        if self.views.masks is None:
            raise ValueError("Break-A-Scene needs masks.")
        masks = self.views.masks[views] * chosen[:, :, None, None].to(device)
        sizes = None if self.views.sizes is None else self.views.sizes[views]
        return Batch(self.views.latents[views], tokens, masks, sizes=sizes, weights=self.views.weights_of(views))


@dataclass(frozen=True)
class SceneLoss:
    """Masked reconstruction, attention, and prior preservation.

        L_rec = mean over all elements of (pred M - target M)^2      M the union of the chosen masks
        L_att = 1/B sum_b sum_i mean over R^2 of (GT_i - A_i / max A_i)^2
        L     = L_rec + prior_weight L_prior + attention_weight L_att

    A sample's weight, where the batch has them, multiplies its part of L_rec and of L_att.
    """

    prediction_type: str
    attention_weight: float = 0.01
    prior_weight: float = 1.0
    masked: bool = True
    min_snr_gamma: float | None = None

    def __call__(self, prediction: Prediction, batch: Batch) -> Mapping[str, torch.Tensor]:
        own = len(prediction.predicted) - batch.prior
        difference = prediction.predicted - prediction.target
        if self.masked and batch.union is not None:
            difference = torch.cat([difference[:own] * batch.union[:own], difference[own:]])
        error = difference.square().mean((1, 2, 3))
        if self.min_snr_gamma is not None:
            error = error * snr_weights(prediction.snr, self.min_snr_gamma, self.prediction_type)
        found = {"denoising": batch.weighed(error[:own]).mean()}
        if batch.prior:
            found["prior"] = self.prior_weight * error[own:].mean()
        if self.attention_weight and prediction.attention is not None and batch.masks is not None:
            found["attention"] = self.attention_weight * batch.weighed(attention_losses(
                prediction.attention[:own], batch.masks[:own])).mean()
        return found


def attention_loss(attention: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """L_att for maps [B, N, R, R] and masks [B, N, h, w]; concepts whose mask is zero do not count."""
    return attention_losses(attention, masks).mean()


def attention_losses(attention: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Each sample's part [B] of L_att."""
    side = attention.shape[-1]
    wanted = (F.interpolate(masks, (side, side), mode="nearest") > 0.5).to(attention)
    peak = attention.amax((-1, -2), keepdim=True)  # not detached, as in the authors' code
    scaled = attention / peak.clamp(min=1e-9)
    present = masks.amax((-1, -2)) > 0
    error = (wanted - scaled).square().mean((-1, -2)) * present
    return error.sum(1)
