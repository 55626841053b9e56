"""Grouped convolution against dense ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from maskzoo.models.errors import SpecError
from maskzoo.models.plugins.grouped import GroupedConv


@pytest.mark.parametrize(("groups", "count"), [(1, 73728), (2, 36864), (4, 18432), (8, 9216)])
def test_each_doubling_of_the_groups_halves_the_weights(groups, count):
    grouped = GroupedConv(nn.Conv2d(64, 128, 3, padding=1, bias=False), groups=groups)
    assert grouped.weight.numel() == count


def test_equals_a_block_diagonal_dense_convolution():
    grouped = GroupedConv(nn.Conv2d(8, 12, 3, padding=1), groups=4).double()
    dense = torch.zeros(12, 8, 3, 3, dtype=torch.float64)
    for group in range(4):
        rows = slice(3 * group, 3 * group + 3)
        dense[rows, 2 * group : 2 * group + 2] = grouped.weight[rows]
    x = torch.randn(2, 8, 5, 7, dtype=torch.float64)
    wanted = F.conv2d(x, dense, grouped.bias, padding=1)
    torch.testing.assert_close(grouped(x), wanted, atol=1e-12, rtol=0)


def test_equals_the_groups_convolved_apart():
    grouped = GroupedConv(8, groups=2).double()
    x = torch.randn(1, 8, 4, 4, dtype=torch.float64)
    parts = [
        F.conv2d(part, weight, padding=1)
        for part, weight in zip(x.chunk(2, 1), grouped.weight.chunk(2), strict=True)
    ]
    torch.testing.assert_close(grouped(x), torch.cat(parts, 1), atol=1e-12, rtol=0)


def test_the_shuffle_interleaves_the_groups():
    plain, shuffled = GroupedConv(8, groups=4), GroupedConv(8, groups=4, shuffle=True)
    shuffled.load_state_dict(plain.state_dict())
    x = torch.randn(1, 8, 3, 3)
    assert torch.equal(shuffled(x), plain(x)[:, [0, 2, 4, 6, 1, 3, 5, 7]])


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(SpecError, match=r"groups=3 must divide the channels 8 -> 12"):
        GroupedConv(nn.Conv2d(8, 12, 3), groups=3)
