"""Dice by hand, its gradient, absent classes, and batches in which nothing counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from maskzoo.training.losses.overlap import dice, tversky

IGNORE = 255
Batch = Callable[..., tuple[Tensor, Tensor]]
Rows = Callable[[Tensor, Tensor], list[tuple[list[float], int]]]


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_dice_equals_a_sum_by_hand(batch: Batch, counted_rows: Rows, smooth: float) -> None:
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


def test_a_perfect_prediction_costs_0(batch: Batch) -> None:
    _, target = batch()
    logits = 50.0 * torch.nn.functional.one_hot(torch.where(target == IGNORE, 0, target), 3)
    value = dice(logits.permute(0, 3, 1, 2), target, ignore_index=IGNORE, smooth=0.0)
    assert value.item() == pytest.approx(0, abs=1e-6)


def test_sums_beyond_the_range_of_float16_are_exact() -> None:
    logits = torch.zeros(1, 2, 400, 400, dtype=torch.float16)
    target = torch.zeros(1, 400, 400, dtype=torch.long)
    value = dice(logits, target, ignore_index=IGNORE, smooth=0.0)
    assert value.item() == pytest.approx(1 - 160_000 / 240_000, rel=1e-5)


def test_tversky_equals_a_sum_by_hand(batch: Batch, counted_rows: Rows) -> None:
    logits, target = batch(2)
    rows = counted_rows(logits, target)
    losses = []
    for index in sorted({truth for _, truth in rows}):
        both = sum(row[index] for row, truth in rows if truth == index)
        wrong = 0.2 * sum(row[index] for row, truth in rows if truth != index)
        missed = 0.8 * sum(1 - row[index] for row, truth in rows if truth == index)
        losses.append(1 - (both + 0.5) / (both + wrong + missed + 0.5))
    value = tversky(
        logits,
        target,
        ignore_index=IGNORE,
        false_positives=0.2,
        false_negatives=0.8,
        smooth=0.5,
    )
    assert value.item() == pytest.approx(sum(losses) / len(losses), rel=1e-12)


def test_tversky_of_halves_is_dice(batch: Batch) -> None:
    logits, target = batch(3)
    value = tversky(
        logits, target, ignore_index=IGNORE, false_positives=0.5, false_negatives=0.5, smooth=0
    )
    torch.testing.assert_close(value, dice(logits, target, ignore_index=IGNORE, smooth=0))
