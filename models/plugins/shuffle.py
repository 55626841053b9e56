"""Shuffle attention: half of each group gated by channel, half by position, then shuffled.

Paper:   Zhang and Yang, "SA-Net: Shuffle Attention for Deep Convolutional Neural Networks",
         ICASSP 2021, https://arxiv.org/abs/2102.00240
Idea:    the channels form G groups; in each, the first half is gated by sigmoid(W₁ z + b₁), z its
         means over the map, the second by sigmoid(W₂ GN(x) + b₂), GN normalising each channel over
         the map. Last, the channels of both halves of the whole map are interleaved.
Differs: the paper has 64 groups; where 2G does not divide C, the greatest common divisor of G and
         C/2 is taken. All groups share the parameters, W starts at 0 and b at 1, as in the
         authors' code.
Shape:   (N, C, H, W) -> (N, C, H, W), C even
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from maskzoo.models.errors import SpecError
from maskzoo.models.network.layers import GroupNorm


class ShuffleAttention(nn.Module):
    """Gates of channels and of positions in the halves of each group.

    Args:
        channels: C of the input, even; the output has as many.
        groups: G; the greatest common divisor of G and C/2 is taken.

    Raises:
        SpecError: C is odd.
    """

    def __init__(self, channels: int, *, groups: int = 64) -> None:
        super().__init__()
        if channels % 2:
            raise SpecError(
                "plug-in 'shuffle'", [f"splits the channels in halves; {channels} is odd"]
            )
        self.groups = math.gcd(channels // 2, groups)
        width = channels // (2 * self.groups)
        self.norm = GroupNorm(width, width)
        shape = (width, 1, 1)
        self.channel_weight = nn.Parameter(torch.zeros(shape))
        self.channel_bias = nn.Parameter(torch.ones(shape))
        self.spatial_weight = nn.Parameter(torch.zeros(shape))
        self.spatial_bias = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Return x, gated and with its channels interleaved."""
        # (N, G, 2, C/2G, H, W)
        halves = x.unflatten(1, (self.groups, 2, -1))
        by_channel, by_position = halves[:, :, 0], halves[:, :, 1]
        means = by_channel.mean(dim=(3, 4), keepdim=True)
        by_channel = by_channel * (self.channel_weight * means + self.channel_bias).sigmoid()
        normed = self.norm(by_position.flatten(0, 1)).unflatten(0, by_position.shape[:2])
        by_position = by_position * (self.spatial_weight * normed + self.spatial_bias).sigmoid()
        joined = torch.stack([by_channel, by_position], dim=2).flatten(1, 3)  # (N, C, H, W)
        mixed: Tensor = joined.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)
        return mixed.to(x.dtype)
