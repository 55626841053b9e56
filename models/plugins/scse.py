"""Concurrent squeeze & excitation (scSE): a gate of channels beside a gate of positions.

Paper:   Roy et al., "Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional
         Networks", MICCAI 2018, https://arxiv.org/abs/1803.02579
Idea:    cSE(x) = SE of r = 2 with biases, sSE(x) = x · σ(conv 1x1 -> 1 map); y joins both.
Differs: the paper adds; the authors' code takes the element-wise maximum, and their later study
         also the product. `fuse` offers the three. smp's module is `reduction=16,fuse=add`.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from maskzoo.models.plugins.se import SqueezeExcitation


class SpatialChannelExcitation(nn.Module):
    """Channel gate and position gate of the same map.

    Args:
        channels: C of the input; the output has as many.
        reduction: r of the channel gate.
        fuse: how both results become one.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 2,
        fuse: Literal["add", "max", "mul"] = "add",
    ) -> None:
        super().__init__()
        self.fuse = fuse
        self.channel = SqueezeExcitation(channels, reduction=reduction, bias=True)
        self.spatial = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the joined map."""
        channel, spatial = self.channel(x), x * self.spatial(x).sigmoid()
        if self.fuse == "add":
            output: Tensor = channel + spatial
            return output
        return torch.maximum(channel, spatial) if self.fuse == "max" else channel * spatial
