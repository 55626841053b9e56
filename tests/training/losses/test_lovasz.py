"""Lovász-softmax against the definition of the Lovász extension."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from maskzoo.training.losses.lovasz import lovasz_softmax

IGNORE = 255
Batch = Callable[..., tuple[Tensor, Tensor]]
Rows = Callable[[Tensor, Tensor], list[tuple[list[float], int]]]


def jaccard_loss(truth: set[int], wrong: set[int]) -> float:
    """1 - IoU of a class whose pixels are `truth` if the pixels `wrong` are mispredicted."""
    predicted = truth ^ wrong
    return 1 - len(truth & predicted) / len(truth | predicted) if truth | predicted else 0.0


def extension(truth: set[int], errors: list[float]) -> float:
    """The Lovász extension: add the pixels by falling error, weigh by the growth of the loss."""
    order = sorted(range(len(errors)), key=lambda pixel: -errors[pixel])
    total, wrong = 0.0, set[int]()
    for pixel in order:
        before = jaccard_loss(truth, wrong)
        wrong.add(pixel)
        total += errors[pixel] * (jaccard_loss(truth, wrong) - before)
    return total


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_value_is_the_extension_of_the_jaccard_loss(
    batch: Batch, counted_rows: Rows, seed: int
) -> None:
    logits, target = batch(seed)
    target[target == 2] = 1  # class 2 is absent and does not enter the mean
    rows = counted_rows(logits, target)
    losses = []
    for index in (0, 1):
        truth = {pixel for pixel, (_, label) in enumerate(rows) if label == index}
        errors = [abs((label == index) - row[index]) for row, label in rows]
        losses.append(extension(truth, errors))
    value = lovasz_softmax(logits, target, ignore_index=IGNORE)
    assert value.item() == pytest.approx(sum(losses) / 2, rel=1e-12)


def test_on_hard_decisions_it_is_one_minus_the_mean_iou(batch: Batch) -> None:
    _, target = batch()
    target[target == IGNORE] = 0
    prediction = target.roll(1, dims=2)
    logits = 200.0 * torch.nn.functional.one_hot(prediction, 3).permute(0, 3, 1, 2).double()
    ious = []
    for index in target.unique():
        first, second = target == index, prediction == index
        ious.append(float((first & second).sum() / (first | second).sum()))
    value = lovasz_softmax(logits, target, ignore_index=IGNORE)
    assert value.item() == pytest.approx(1 - sum(ious) / len(ious), abs=1e-6)
