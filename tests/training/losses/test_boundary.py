"""Boundary loss by hand on a line of pixels, and its distances by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from maskzoo.training.losses.boundary import boundary, signed_distances

IGNORE = 255


def test_distances_are_signed_and_euclidean() -> None:
    random = np.random.default_rng(0)
    mask = random.choice([0, 1, 2, IGNORE], (1, 6, 7), p=[0.4, 0.3, 0.1, 0.2])
    distances, has_border = signed_distances(mask, 4, ignore_index=IGNORE)
    assert has_border.tolist() == [[True, True, True, False]]
    places = [(row, column) for row in range(6) for column in range(7)]
    for k in range(3):
        for row, column in places:
            label = mask[0, row, column]
            if label == IGNORE:
                assert distances[0, k, row, column] == 0
                continue
            others = [
                math.dist((row, column), place)
                for place in places
                if mask[0][place] != IGNORE and (mask[0][place] == k) != (label == k)
            ]
            sign = -1 if label == k else 1
            expected = sign * min(others) / math.hypot(6, 7)
            assert distances[0, k, row, column] == pytest.approx(expected, abs=1e-5)


def test_the_value_equals_a_sum_by_hand() -> None:
    target = torch.tensor([[[0, 0, 1, IGNORE]]])
    logits = torch.tensor([[[[1.0, 0.0, 2.0, 9.0]], [[0.0, 0.0, 0.0, -9.0]]]], dtype=torch.float64)
    first = [1 / (1 + math.exp(-score)) for score in (1.0, 0.0, 2.0)]  # p of class 0
    diagonal = math.hypot(1, 4)
    phi = [-2.0, -1.0, 1.0]  # of class 0; class 1 has the opposite
    zero = sum(p * d for p, d in zip(first, phi, strict=True)) / diagonal / 3
    one = sum((1 - p) * -d for p, d in zip(first, phi, strict=True)) / diagonal / 3
    value = boundary(logits, target, ignore_index=IGNORE)
    assert value.item() == pytest.approx((zero + one) / 2, rel=1e-6)


def test_an_image_of_one_class_has_no_border() -> None:
    target = torch.zeros(1, 5, 5, dtype=torch.long)
    logits = torch.randn(1, 3, 5, 5, requires_grad=True)
    value = boundary(logits, target, ignore_index=IGNORE)
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()
