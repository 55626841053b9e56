"""Polarized self-attention: channels gated at half the width, positions at full resolution.

Paper:   Liu et al., "Polarized Self-Attention: Towards High-quality Pixel-wise Regression", 2021,
         https://arxiv.org/abs/2107.00782
Idea:    channels (equation 1): q = softmax over the positions of a map of one channel, the values
         of C/2 channels are summed with it, and sigmoid(LayerNorm(W z)) gates x;
         positions (equation 2): q = softmax over C/2 channels of the means, its product with the
         values of C/2 channels is a map whose sigmoid gates x.
         Parallel (equation 3): y = A_ch x + A_sp x; sequential (equation 4): y = A_sp(A_ch x).
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import as_float32


class PolarizedAttention(nn.Module):
    """Gates of channels and of positions, side by side or one after the other.

    Args:
        channels: C of the input; the output has as many.
        layout: how the two branches are joined.
    """

    def __init__(
        self, channels: int, *, layout: Literal["parallel", "sequential"] = "parallel"
    ) -> None:
        super().__init__()
        self.layout = layout
        self.channel = ChannelBranch(channels)
        self.spatial = SpatialBranch(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return x times its gates: their sum in parallel, their product in sequence."""
        gated: Tensor = x * self.channel(x)
        if self.layout == "sequential":
            sequence: Tensor = gated * self.spatial(gated)
            return sequence
        both: Tensor = gated + x * self.spatial(x)
        return both


class ChannelBranch(nn.Module):
    """Gates of channels: (N, C, H, W) -> (N, C, 1, 1) in (0, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = max(1, channels // 2)
        self.query = nn.Conv2d(channels, 1, 1)
        self.value = nn.Conv2d(channels, width, 1)
        self.expand = nn.Conv2d(width, channels, 1)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gate of each channel."""
        query = as_float32(self.query(x).flatten(2)).softmax(dim=2)  # (N, 1, L)
        value = self.value(x).flatten(2)  # (N, C/2, L)
        with torch.autocast(x.device.type, enabled=False):
            context = (as_float32(value) @ query.transpose(1, 2)).to(value.dtype)  # (N, C/2, 1)
        expanded = self.expand(context.unsqueeze(3)).flatten(1)  # (N, C)
        gate: Tensor = self.norm(expanded).sigmoid()
        return gate[:, :, None, None].to(x.dtype)


class SpatialBranch(nn.Module):
    """Gates of positions: (N, C, H, W) -> (N, 1, H, W) in (0, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = max(2, channels // 2)  # a softmax over one channel is always 1
        self.query = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gate of each position."""
        means = self.query(x).mean(dim=(2, 3))  # (N, C/2)
        query = as_float32(means).softmax(dim=1).unsqueeze(1)  # (N, 1, C/2)
        value = self.value(x).flatten(2)  # (N, C/2, L)
        with torch.autocast(x.device.type, enabled=False):
            context = query @ as_float32(value)  # (N, 1, L)
        gate: Tensor = context.sigmoid().unflatten(2, x.shape[-2:])
        return gate.to(x.dtype)
