"""Cross-entropy by hand, its gradient, and batches in which nothing counts."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from maskzoo.training.losses.cross_entropy import cross_entropy

IGNORE = 255
Batch = Callable[..., tuple[Tensor, Tensor]]


def by_hand(logits: Tensor, target: Tensor, weights: list[float], smoothing: float) -> float:
    """The mean over counted pixels of -sum_k w_k t_k log p_k, t smoothed, in plain Python."""
    total = mass = 0.0
    for image, row, column in torch.cartesian_prod(*map(torch.arange, target.shape)).tolist():
        truth = int(target[image, row, column])
        if truth == IGNORE:
            continue
        scores = logits[image, :, row, column].tolist()
        norm = math.log(sum(math.exp(score) for score in scores))
        for index, score in enumerate(scores):
            share = (1 - smoothing) * (index == truth) + smoothing / len(scores)
            total += weights[index] * share * (norm - score)
        mass += weights[truth]
    return total / mass


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 3.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_value_equals_a_sum_by_hand(
    batch: Batch, weights: list[float] | None, smoothing: float
) -> None:
    logits, target = batch()
    factors = None if weights is None else torch.tensor(weights)
    value = cross_entropy(
        logits, target, ignore_index=IGNORE, class_weights=factors, label_smoothing=smoothing
    )
    expected = by_hand(logits, target, weights or [1.0] * 3, smoothing)
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_the_value_is_torchs_own_where_something_counts(batch: Batch) -> None:
    logits, target = batch(1)
    weights = torch.tensor([0.2, 2.0, 1.0], dtype=torch.float64)
    expected = torch.nn.functional.cross_entropy(logits, target, weights, ignore_index=IGNORE)
    value = cross_entropy(logits, target, ignore_index=IGNORE, class_weights=weights)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 3.0]])
def test_the_gradient_is_that_of_the_value(batch: Batch, weights: list[float] | None) -> None:
    logits, target = batch(2)
    factors = None if weights is None else torch.tensor(weights)
    assert torch.autograd.gradcheck(
        lambda x: cross_entropy(
            x, target, ignore_index=IGNORE, class_weights=factors, label_smoothing=0.1
        ),
        logits.requires_grad_(),
    )


def test_half_precision_is_summed_in_float32() -> None:
    logits = torch.zeros(1, 2, 300, 300, dtype=torch.bfloat16)
    value = cross_entropy(logits, torch.zeros(1, 300, 300, dtype=torch.long), ignore_index=IGNORE)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(math.log(2), rel=1e-6)
