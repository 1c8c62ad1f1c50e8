"""Figures on vectors whose likeness is known."""

from __future__ import annotations

import math

import pytest
import torch

from pipelines.lab import measures

X, Y = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
BETWEEN = torch.tensor([math.sqrt(0.5), math.sqrt(0.5)])


def test_a_score_is_the_mean_with_students_interval() -> None:
    found = measures.score([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2.0, 3)
    assert found.half == pytest.approx(4.303 / math.sqrt(3))
    assert measures.score([5.0]).half is None


def test_a_score_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError):
        measures.score([])


def test_identity_is_the_mean_over_all_references() -> None:
    assert measures.identity(torch.stack([X, Y]), torch.stack([X, X, Y])) == pytest.approx([2 / 3, 1 / 3])


def test_prompt_following_compares_row_by_row() -> None:
    assert measures.prompt_following(torch.stack([X, BETWEEN]), torch.stack([Y, X])) == pytest.approx(
        [0.0, math.sqrt(0.5)])


def test_an_image_nearer_to_a_reference_than_references_are_to_each_other_counts_as_copied() -> None:
    references = torch.stack([X, BETWEEN])
    assert measures.copied(torch.stack([X, -Y]), references) == 0.5
    assert measures.copied(torch.stack([X]), references[:1]) is None


def test_diversity_looks_at_images_of_one_prompt_only() -> None:
    assert measures.diversity(torch.stack([X, X, Y]), ["a", "b", "a"]) == 1.0
    assert measures.diversity(torch.stack([X, Y]), ["a", "b"]) is None


def test_prior_collapse_is_how_like_the_subject_its_class_has_become() -> None:
    assert measures.prior_collapse(torch.stack([X, Y]), torch.stack([X])) == 0.5


def test_ranks_count_who_is_nearer() -> None:
    assert measures.ranks(torch.stack([X, Y]), X, torch.stack([X, BETWEEN, Y])) == [0, 2]
