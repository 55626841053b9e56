"""OHEM and focal loss by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from maskzoo.training.losses.cross_entropy import cross_entropy
from maskzoo.training.losses.hard import focal, ohem

IGNORE = 255
Batch = Callable[..., tuple[Tensor, Tensor]]
Rows = Callable[[Tensor, Tensor], list[tuple[list[float], int]]]


@pytest.mark.parametrize(("threshold", "min_kept"), [(0.3, 0.0), (0.0, 0.4), (0.3, 0.7), (1, 0)])
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 3.0]])
def test_ohem_is_the_mean_over_hard_pixels(
    batch: Batch,
    counted_rows: Rows,
    threshold: float,
    min_kept: float,
    weights: list[float] | None,
) -> None:
    logits, target = batch()
    rows = sorted((row[truth], truth) for row, truth in counted_rows(logits, target))
    least = max(1, round(min_kept * len(rows)))
    kept = [pair for place, pair in enumerate(rows) if pair[0] < threshold or place < least]
    factors = weights or [1.0] * 3
    mass = sum(factors[truth] for _, truth in kept)
    expected = sum(-factors[truth] * math.log(chance) for chance, truth in kept) / mass
    value = ohem(
        logits,
        target,
        ignore_index=IGNORE,
        threshold=threshold,
        min_kept=min_kept,
        class_weights=None if weights is None else torch.tensor(weights),
    )
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_ohem_of_all_pixels_is_cross_entropy(batch: Batch) -> None:
    logits, target = batch(1)
    value = ohem(logits, target, ignore_index=IGNORE, min_kept=1.0)
    torch.testing.assert_close(value, cross_entropy(logits, target, ignore_index=IGNORE))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 3.0]])
def test_focal_equals_a_sum_by_hand(
    batch: Batch, counted_rows: Rows, gamma: float, weights: list[float] | None
) -> None:
    logits, target = batch(2)
    factors = weights or [1.0] * 3
    total = mass = 0.0
    for row, truth in counted_rows(logits, target):
        chance = row[truth]
        total -= factors[truth] * (1 - chance) ** gamma * math.log(chance)
        mass += factors[truth]
    value = focal(
        logits,
        target,
        ignore_index=IGNORE,
        gamma=gamma,
        class_weights=None if weights is None else torch.tensor(weights),
    )
    assert value.item() == pytest.approx(total / mass, rel=1e-12)


def test_focal_without_gamma_is_cross_entropy(batch: Batch) -> None:
    logits, target = batch(3)
    value = focal(logits, target, ignore_index=IGNORE, gamma=0)
    torch.testing.assert_close(value, cross_entropy(logits, target, ignore_index=IGNORE))
