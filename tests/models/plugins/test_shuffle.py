"""Shuffle attention against a loop over groups."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.errors import SpecError
from maskzoo.models.plugins.shuffle import ShuffleAttention


def test_halves_are_gated_by_channel_and_by_position_and_then_interleaved():
    attention = ShuffleAttention(8, groups=2).double()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_()
    x = torch.randn(1, 8, 3, 4, dtype=torch.float64)
    rows = []
    for g in range(2):
        first, second = x[0, 4 * g : 4 * g + 2], x[0, 4 * g + 2 : 4 * g + 4]
        for c in range(2):
            weight, bias = attention.channel_weight[c], attention.channel_bias[c]
            rows.append(first[c] * (weight * first[c].mean() + bias).sigmoid())
        for c in range(2):
            normed = (second[c] - second[c].mean()) / (second[c].var(correction=0) + 1e-5).sqrt()
            normed = attention.norm.weight[c] * normed + attention.norm.bias[c]
            weight, bias = attention.spatial_weight[c], attention.spatial_bias[c]
            rows.append(second[c] * (weight * normed + bias).sigmoid())
    # Channels of the lower and of the upper half of the map alternate.
    wanted = torch.stack([rows[i // 2 + 4 * (i % 2)] for i in range(8)])
    torch.testing.assert_close(attention(x)[0], wanted, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("channels", "groups"), [(256, 64), (16, 8), (24, 4), (6, 1)])
def test_the_groups_divide_half_of_the_channels(channels, groups):
    assert ShuffleAttention(channels).groups == groups


def test_an_odd_number_of_channels_is_refused():
    with pytest.raises(SpecError, match="splits the channels in halves; 7 is odd"):
        ShuffleAttention(7)
