"""Strip pooling against a loop over rows and columns."""

from __future__ import annotations

import torch

from maskzoo.models.plugins.strip_pooling import StripPooling


def test_a_position_is_gated_by_the_strips_of_its_row_and_its_column():
    pooling = StripPooling(3, norm="none").double()
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    row_means, column_means = x[0].mean(2), x[0].mean(1)  # (3, 4), (3, 5)
    y = torch.empty_like(x)
    for i in range(4):
        for j in range(5):
            strips = _at(pooling.rows, row_means, i) + _at(pooling.columns, column_means, j)
            gate = pooling.gate.weight[:, :, 0, 0] @ strips.relu() + pooling.gate.bias
            y[0, :, i, j] = x[0, :, i, j] * gate.sigmoid()
    torch.testing.assert_close(pooling(x), y, atol=1e-12, rtol=0)


def _at(conv: torch.nn.Conv2d, means: torch.Tensor, position: int) -> torch.Tensor:
    """Return a convolution of kernel 3 over a strip, at one position, zeros outside."""
    weight = conv.weight.flatten(2)  # (C, C, 3)
    value = conv.bias.clone()
    for k in range(3):
        if 0 <= position + k - 1 < means.shape[1]:
            value = value + weight[:, :, k] @ means[:, position + k - 1]
    return value


def test_both_strips_are_normalised():
    pooling = StripPooling(4).train()
    pooling(100 + 50 * torch.randn(2, 4, 6, 7))
    for norm in (pooling.rows_norm, pooling.columns_norm):
        assert not torch.equal(norm.running_mean, torch.zeros(4))
