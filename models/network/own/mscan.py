"""MSCAN, SegNeXt's encoder: gates from depth-wise convolutions of several sizes.

Paper:   Guo et al., "SegNeXt: Rethinking Convolutional Attention Design for Semantic
         Segmentation", NeurIPS 2022, section 3.1, https://arxiv.org/abs/2209.08575
Idea:    y = conv 1x1 (Σ_i scale_i(d)) · x with d = depth-wise 5x5 of x and the scales d itself and
         depth-wise pairs 1xk, kx1 of d for k = 7, 11, 21. Each block is x + λ₁ · attention(norm x),
         then x + λ₂ · feed-forward(norm x), with λ starting at 0.01.
Note:    f1 is the map between the two convolutions of the stem.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from timm.layers.drop import DropPath
from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn

from maskzoo.models.network.layers import BatchNorm2d

_SIDES = (7, 11, 21)


class ConvolutionalAttention(nn.Module):
    """MSCAN: (N, C_in, H, W) -> [f0, …, f5].

    Args:
        in_channels: of the image.
        channels: at strides 4, 8, 16 and 32.
        blocks: at these strides.
        expansions: of the channels in the feed-forward layers, at these strides.
        drop_path: how often the last block is left out in training; the others less.

    Attributes:
        out_channels: of f0 … f5.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        channels: tuple[int, int, int, int] = (32, 64, 160, 256),
        blocks: tuple[int, int, int, int] = (3, 3, 5, 2),
        expansions: tuple[int, int, int, int] = (8, 8, 4, 4),
        drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        half = max(1, channels[0] // 2)
        self.out_channels = (in_channels, half, *channels)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, half, 3, stride=2, padding=1), BatchNorm2d(half), nn.GELU()
        )
        rates = torch.linspace(0, drop_path, sum(blocks)).tolist()
        self.downs, self.stages, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before = half
        for width, count, expansion in zip(channels, blocks, expansions, strict=True):
            self.downs.append(
                nn.Sequential(nn.Conv2d(before, width, 3, stride=2, padding=1), BatchNorm2d(width))
            )
            self.stages.append(
                nn.Sequential(*(Block(width, expansion, rates.pop(0)) for _ in range(count)))
            )
            self.norms.append(LayerNorm2d(width, eps=1e-5))
            before = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _start(module)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features."""
        y = self.stem(x)
        features = [x, y]
        for down, stage, norm in zip(self.downs, self.stages, self.norms, strict=True):
            y = norm(stage(down(y)))
            features.append(y)
        return features


class Block(nn.Module):
    """Attention, then feed-forward: (N, C, h, w) -> (N, C, h, w)."""

    def __init__(self, channels: int, expansion: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = BatchNorm2d(channels)
        self.attention = MultiScaleAttention(channels)
        self.norm2 = BatchNorm2d(channels)
        width = channels * expansion
        self.feed_forward = nn.Sequential(
            nn.Conv2d(channels, width, 1),
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            nn.GELU(),
            nn.Conv2d(width, channels, 1),
        )
        self.scale1 = nn.Parameter(torch.full((channels, 1, 1), 0.01))
        self.scale2 = nn.Parameter(torch.full((channels, 1, 1), 0.01))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return x with both added."""
        x = x + self.drop_path(self.scale1 * self.attention(self.norm1(x)))
        output: Tensor = x + self.drop_path(self.scale2 * self.feed_forward(self.norm2(x)))
        return output


class MultiScaleAttention(nn.Module):
    """A gate from several scales between two 1x1 convolutions: (N, C, h, w) -> (N, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before = nn.Conv2d(channels, channels, 1)
        self.act = nn.GELU()
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.strips = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, (1, side), padding=(0, side // 2), groups=channels),
                nn.Conv2d(channels, channels, (side, 1), padding=(side // 2, 0), groups=channels),
            )
            for side in _SIDES
        )
        self.mix = nn.Conv2d(channels, channels, 1)
        self.after = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with the gated map added."""
        y = self.act(self.before(x))
        near = self.near(y)
        scales = near
        for strip in self.strips:
            scales = scales + strip(near)
        output: Tensor = x + self.after(self.mix(scales) * y)
        return output


def _start(convolution: nn.Conv2d) -> None:
    """Start a convolution as the authors do: a depth-wise one counts one channel."""
    fan_out = math.prod(convolution.kernel_size) * convolution.out_channels // convolution.groups
    nn.init.normal_(convolution.weight, std=(2 / fan_out) ** 0.5)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
