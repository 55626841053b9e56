"""ECA against timm and a loop over the channels."""

from __future__ import annotations

import pytest
import torch
from timm.layers import EcaModule

from maskzoo.models.plugins.eca import EfficientChannelAttention


@pytest.mark.parametrize("channels", [8, 16, 64, 100, 512, 2048])
def test_kernel_and_output_equal_timm(channels):
    ours, theirs = EfficientChannelAttention(channels), EcaModule(channels)
    assert ours.mix.weight.shape == theirs.conv.weight.shape
    theirs.conv.weight = ours.mix.weight
    x = torch.randn(2, channels, 3, 5)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=0)


def test_equals_a_loop_over_neighbouring_channels():
    eca = EfficientChannelAttention(12).double()
    x = torch.randn(1, 12, 4, 3, dtype=torch.float64)
    weight = eca.mix.weight.flatten()
    reach = len(weight) // 2
    means = x.mean((2, 3))[0]
    y = torch.empty_like(x)
    for c in range(12):
        score = sum(
            weight[k] * means[c + k - reach] for k in range(len(weight)) if 0 <= c + k - reach < 12
        )
        y[:, c] = x[:, c] * score.sigmoid()
    torch.testing.assert_close(eca(x), y, atol=1e-12, rtol=0)
