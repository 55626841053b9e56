"""Sub-pixel convolution against the nearest value and a loop over the new positions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskzoo.models.plugins.pixelshuffle import PixelShuffle


@pytest.mark.parametrize("factor", [2, 4])
def test_it_starts_as_the_nearest_value_without_a_checkerboard(factor):
    x = torch.randn(2, 6, 5, 7)
    size = torch.Size((5 * factor, 7 * factor))
    wanted = F.interpolate(x, size=size, mode="nearest")
    torch.testing.assert_close(PixelShuffle(6, factor)(x, size), wanted)


def test_each_new_position_has_a_kernel_of_its_own():
    shuffle = PixelShuffle(3, 2, kernel_size=1).double()
    for parameter in shuffle.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(1, 3, 2, 4, dtype=torch.float64)
    y = shuffle(x, torch.Size((4, 8)))
    weight, bias = shuffle.conv.weight[:, :, 0, 0], shuffle.conv.bias
    for c in range(3):
        for i in range(4):
            for j in range(8):
                row = 4 * c + 2 * (i % 2) + j % 2
                value = weight[row] @ x[0, :, i // 2, j // 2] + bias[row]
                torch.testing.assert_close(y[0, c, i, j], value)
