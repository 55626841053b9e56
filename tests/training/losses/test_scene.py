"""SE-loss by hand, its gradient, and images in which nothing counts."""

from __future__ import annotations

import math

import pytest
import torch

from maskzoo.training.losses.scene import scene_loss, scene_presence

IGNORE = 255


def test_presence_is_of_counted_pixels() -> None:
    target = torch.tensor([[[0, 2], [IGNORE, 2]], [[IGNORE, IGNORE], [IGNORE, IGNORE]]])
    assert scene_presence(target, 4).tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]


def test_the_value_equals_a_sum_by_hand() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, dtype=torch.float64)
    target = torch.tensor([[[0, 1]], [[2, IGNORE]]])
    present = [[1, 1, 0], [0, 0, 1]]
    expected = 0.0
    for row, flags in zip(logits.tolist(), present, strict=True):
        for score, flag in zip(row, flags, strict=True):
            share = 1 / (1 + math.exp(-score))
            expected -= math.log(share if flag else 1 - share) / 6
    value = scene_loss(logits, target, ignore_index=IGNORE)
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_the_gradient_is_that_of_the_value() -> None:
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[[0, 1]], [[IGNORE, IGNORE]], [[2, 2]]])
    assert torch.autograd.gradcheck(lambda x: scene_loss(x, target, ignore_index=IGNORE), logits)


def test_images_in_which_nothing_counts_teach_nothing() -> None:
    logits = torch.zeros(2, 3, requires_grad=True)
    target = torch.full((2, 4, 4), IGNORE)
    target[0] = 1
    value = scene_loss(logits, target, ignore_index=IGNORE)
    value.backward()
    assert value.item() == pytest.approx(math.log(2))
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([1 / 6, -1 / 6, 1 / 6])
    assert not logits.grad[1].any()


def test_a_batch_in_which_nothing_counts_costs_0_without_gradient() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    value = scene_loss(logits, torch.full((2, 4, 4), IGNORE), ignore_index=IGNORE)
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()
