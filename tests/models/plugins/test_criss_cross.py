"""Criss-cross attention: against mmcv's, and what it reaches."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.plugins.criss_cross import CrissCrossAttention

NAMES = {f"{part}_conv": part for part in ("query", "key", "value")} | {"gamma.scale": "gamma"}


def test_one_pass_equals_mmcv_in_value_and_gradients(module_reference):
    module_reference("mmcv_CrissCrossAttention").check(CrissCrossAttention(32, recurrence=1), NAMES)


def test_the_weights_sum_to_one_and_count_the_position_once():
    query, key = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 3, 5)
    weights = CrissCrossAttention._weights(query, key)
    torch.testing.assert_close(weights.sum(3), torch.ones(2, 3, 5))
    for row in range(3):
        assert not weights[:, row, :, row].any(), "the column leaves the position itself out"


@pytest.mark.parametrize(("recurrence", "reached"), [(1, 4 + 6 - 1), (2, 4 * 6)])
def test_two_passes_reach_every_position(recurrence, reached):
    torch.manual_seed(0)
    attention = CrissCrossAttention(8, recurrence=recurrence).double()
    torch.nn.init.ones_(attention.gamma)
    x = torch.randn(1, 8, 4, 6, dtype=torch.float64, requires_grad=True)
    attention(x)[0, :, 1, 2].sum().backward()
    assert int((x.grad.abs().sum(1) > 0).sum()) == reached


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1), (3, 8)])
def test_any_size_works_and_starts_as_the_identity(size):
    x = torch.randn(2, 8, *size)
    assert torch.equal(CrissCrossAttention(8)(x), x)
