"""Convolutional Block Attention Module (CBAM): a gate of channels, then one of positions.

Paper:   Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018,
         https://arxiv.org/abs/1807.06521
Idea:    first which channels, then which positions matter:
         x' = σ(MLP(avg x) + MLP(max x)) · x, one MLP C -> C/r -> C for both means and maxima;
         x'' = σ(conv 7x7 [max_c x', mean_c x']) · x', one map for all channels.
Differs: as in the official code, the MLP has biases and a norm follows the 7 x 7 convolution, its
         weight 0 at the start, so that the spatial gate begins at 1/2 everywhere. `norm=none` is
         the paper's formula. The code's other poolings (`lp`, `lse`) are there too.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import Norm, create_norm

Pool = Literal["avg", "max", "lp", "lse"]


class ChannelGate(nn.Module):
    """Gate of each channel: the sigmoid of the sum of one MLP over several poolings."""

    def __init__(self, channels: int, reduction: int, pools: tuple[Pool, ...]) -> None:
        super().__init__()
        width = max(1, channels // reduction)
        self.pools = pools
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the gates (N, C, 1, 1)."""
        scores = [self.mlp(pool(x, kind)) for kind in self.pools]
        return torch.stack(scores).sum(dim=0).sigmoid()


class SpatialGate(nn.Module):
    """Gate of each position: a convolution over the channels' maximum and mean."""

    def __init__(self, kernel_size: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = create_norm(norm, 1)
        if isinstance(self.norm, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gates (N, 1, H, W)."""
        extremes = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
        output: Tensor = self.norm(self.conv(extremes)).sigmoid()
        return output


class ConvolutionalBlockAttention(nn.Module):
    """Channel gate, then spatial gate.

    Args:
        channels: C of the input; the output has as many.
        reduction: r of the channel gate's MLP.
        pools: what the channel gate looks at.
        spatial: whether the spatial gate follows.
        kernel_size: side of its kernel, odd.
        norm: normalisation of its map.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        pools: tuple[Pool, ...] = ("avg", "max"),
        spatial: bool = True,
        kernel_size: int = 7,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.channel = ChannelGate(channels, reduction, pools)
        self.spatial = SpatialGate(kernel_size, norm) if spatial else None

    def forward(self, x: Tensor) -> Tensor:
        """Return x after both gates."""
        x = x * self.channel(x)
        return x if self.spatial is None else x * self.spatial(x)


def pool(x: Tensor, kind: Pool) -> Tensor:
    """Pool (N, C, H, W) over all positions to (N, C, 1, 1)."""
    if kind == "avg":
        return x.mean(dim=(2, 3), keepdim=True)
    if kind == "max":
        return x.amax(dim=(2, 3), keepdim=True)
    if kind == "lp":
        squares = x.square().sum(dim=(2, 3), keepdim=True)
        # The root's slope is infinite at 0, and its product with a slope of 0 would be NaN: a
        # channel of zeros takes the root of 1 instead, and no gradient.
        is_zero = squares == 0
        return squares.masked_fill(is_zero, 1).sqrt().masked_fill(is_zero, 0)
    return x.logsumexp(dim=(2, 3), keepdim=True)
