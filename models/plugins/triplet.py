"""Triplet attention: three gates, each from a plane of the tensor with the third axis pooled away.

Paper:   Misra et al., "Rotate to Attend: Convolutional Triplet Attention Module", WACV 2021,
         https://arxiv.org/abs/2010.03045
Idea:    the maximum and the mean over one axis (Z-pool) go through one k x k convolution and a
         norm; its sigmoid gates x. Once over the channels (a gate of H x W), once over the height
         (C x W) and once over the width (C x H); y is the mean of the three.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import Norm, create_norm


class TripletAttention(nn.Module):
    """Mean of the gates of three planes.

    Args:
        channels: C of the input; the output has as many.
        kernel_size: k, odd.
        norm: normalisation after each convolution.
    """

    def __init__(self, channels: int, *, kernel_size: int = 7, norm: Norm = "batch") -> None:
        super().__init__()
        self.channels = channels
        self.over_channels = PlaneGate(kernel_size, norm)
        self.over_rows = PlaneGate(kernel_size, norm)
        self.over_columns = PlaneGate(kernel_size, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return x times the mean of its three gates."""
        gates = self.over_channels(x)  # (N, 1, H, W)
        gates = gates + self.over_rows(x.transpose(1, 2)).transpose(1, 2)  # (N, C, 1, W)
        gates = gates + self.over_columns(x.transpose(1, 3)).transpose(1, 3)  # (N, C, H, 1)
        output: Tensor = x * (gates / 3)
        return output


class PlaneGate(nn.Module):
    """Gate of a plane, from maxima and means over the first axis: (N, A, B, D) -> (N, 1, B, D)."""

    def __init__(self, kernel_size: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=norm == "none")
        self.norm = create_norm(norm, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gate in (0, 1)."""
        pooled = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
        output: Tensor = self.norm(self.conv(pooled)).sigmoid()
        return output
