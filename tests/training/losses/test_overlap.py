"""Dice by hand, its gradient, absent classes, and batches in which nothing counts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.losses.overlap import dice

IGNORE = 255


def batch(seed: int = 0, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Return float64 logits (2, K, 3, 4) and a target of classes and ignored pixels."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 3, 4, dtype=torch.float64, generator=random)
    target = torch.randint(0, classes + 1, (2, 3, 4), generator=random)
    return logits, torch.where(target == classes, IGNORE, target)


def counted_rows(logits: Tensor, target: Tensor) -> list[tuple[list[float], int]]:
    """Return (probabilities, truth) of each counted pixel."""
    probabilities = logits.softmax(1).permute(0, 2, 3, 1).reshape(-1, logits.shape[1]).tolist()
    pairs = zip(probabilities, target.flatten().tolist(), strict=True)
    return [pair for pair in pairs if pair[1] != IGNORE]


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_dice_equals_a_sum_by_hand(smooth: float) -> None:
    logits, target = batch()
    target[target == 2] = 1  # class 2 is absent and does not enter the mean
    rows = counted_rows(logits, target)
    losses = []
    for index in (0, 1):
        both = sum(row[index] for row, truth in rows if truth == index)
        predicted = sum(row[index] for row, _ in rows)
        labelled = sum(truth == index for _, truth in rows)
        losses.append(1 - (2 * both + smooth) / (predicted + labelled + smooth))
    value = dice(logits, target, ignore_index=IGNORE, smooth=smooth)
    assert value.item() == pytest.approx(sum(losses) / 2, rel=1e-12)


def test_a_perfect_prediction_costs_0() -> None:
    _, target = batch()
    logits = 50.0 * torch.nn.functional.one_hot(torch.where(target == IGNORE, 0, target), 3)
    value = dice(logits.permute(0, 3, 1, 2), target, ignore_index=IGNORE, smooth=0.0)
    assert value.item() == pytest.approx(0, abs=1e-6)


def test_the_gradient_is_that_of_the_value() -> None:
    logits, target = batch(1)
    assert torch.autograd.gradcheck(
        lambda x: dice(x, target, ignore_index=IGNORE), logits.requires_grad_()
    )


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_a_batch_in_which_nothing_counts_costs_0_without_gradient(smooth: float) -> None:
    logits, target = batch()
    logits.requires_grad_()
    value = dice(logits, torch.full_like(target, IGNORE), ignore_index=IGNORE, smooth=smooth)
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_sums_beyond_the_range_of_float16_are_exact() -> None:
    logits = torch.zeros(1, 2, 400, 400, dtype=torch.float16)
    target = torch.zeros(1, 400, 400, dtype=torch.long)
    value = dice(logits, target, ignore_index=IGNORE, smooth=0.0)
    assert value.item() == pytest.approx(1 - 160_000 / 240_000, rel=1e-5)
