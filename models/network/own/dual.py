"""Encoders of DDRNet and PIDNet: a residual network whose stages end before the ReLU.

Papers:  Hong et al., "Deep Dual-resolution Networks for Real-time and Accurate Semantic
         Segmentation of Road Scenes", 2021, https://arxiv.org/abs/2101.06085, and
         Xu et al., "PIDNet: A Real-time Semantic Segmentation Network Inspired by PID
         Controllers", CVPR 2023, https://arxiv.org/abs/2206.02066
Idea:    stem of two strided convolutions, then stages of m, 2m, 4m and 8m channels. PIDNet's other
         two branches only read these, so they are its decoder's. DDRNet adds a branch of stride 8
         that exchanges its map with the stages twice; the first exchange is here and makes f3 and
         f5, the second is the decoder's.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, residual_stage, resize

Width = Annotated[int, Field(ge=1)]
Blocks = Annotated[int, Field(ge=1)]


class IntegralBranch(nn.Module):
    """PIDNet's I branch up to stride 32: (N, C_in, H, W) -> [f0, …, f5].

    Args:
        in_channels: of the image.
        width: m, channels at stride 4.
        shallow_blocks: residual blocks of each stage of stride 4 and 8.
        deep_blocks: of each stage of stride 16 and 32.

    Attributes:
        out_channels: of f0 … f5.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        width: Width = 32,
        shallow_blocks: Blocks = 2,
        deep_blocks: Blocks = 3,
    ) -> None:
        super().__init__()
        self.out_channels = (in_channels, *(width * factor for factor in (1, 1, 2, 4, 8)))
        self.stem = _stem(in_channels, width)
        self.stages = nn.ModuleList(
            [
                _rectified(residual_stage(width, width, shallow_blocks)),
                _rectified(residual_stage(width, 2 * width, shallow_blocks, stride=2)),
                _rectified(residual_stage(2 * width, 4 * width, deep_blocks, stride=2)),
                _rectified(residual_stage(4 * width, 8 * width, deep_blocks, stride=2)),
            ]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features, each after its ReLU."""
        features = [x, self.stem[0](x)]
        y = self.stem[1](features[1])
        for stage in self.stages:
            y = stage(y)
            features.append(y)
        return features


class DualBranch(nn.Module):
    """DDRNet up to stride 32, with one exchange: (N, C_in, H, W) -> [f0, …, f5].

    f3 is the branch of high resolution and f4 the stage of stride 16, both after the exchange;
    f5 is the stage of stride 32. None of the three has had its ReLU.

    Args:
        in_channels: of the image.
        width: m, channels at stride 4.
        shallow_blocks: residual blocks of each stage of stride 4 and 8.
        deep_blocks: of each stage of stride 16 and 32.

    Attributes:
        out_channels: of f0 … f5.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        width: Width = 32,
        shallow_blocks: Blocks = 2,
        deep_blocks: Blocks = 2,
    ) -> None:
        super().__init__()
        self.out_channels = (in_channels, *(width * factor for factor in (1, 1, 2, 4, 8)))
        self.stem = _stem(in_channels, width)
        self.first = _rectified(residual_stage(width, width, shallow_blocks))
        self.second = _rectified(residual_stage(width, 2 * width, shallow_blocks, stride=2))
        self.low = residual_stage(2 * width, 4 * width, deep_blocks, stride=2)
        self.high = residual_stage(2 * width, 2 * width, deep_blocks)
        self.to_high = Exchange(ConvNormAct(4 * width, 2 * width, 1, act=False))
        self.to_low = Exchange(ConvNormAct(2 * width, 4 * width, 3, stride=2, act=False))
        self.act = nn.ReLU()
        self.deep = residual_stage(4 * width, 8 * width, deep_blocks, stride=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features."""
        half = self.stem[0](x)
        quarter = self.first(self.stem[1](half))
        eighth = self.second(quarter)
        low, high = self.low(eighth), self.high(eighth)
        mixed_high, mixed_low = self.to_high(high, low), self.to_low(low, high)
        return [x, half, quarter, mixed_high, mixed_low, self.deep(self.act(mixed_low))]


class Exchange(nn.Module):
    """x with the other branch's map added, rectified, convolved and brought to the size of x.

    Args:
        convs: other map -> channels of x.
        align_corners: convention of the resize.
    """

    def __init__(self, convs: nn.Module, *, align_corners: bool = False) -> None:
        super().__init__()
        self.convs = convs
        self.align_corners = align_corners

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Return the sum."""
        moved = self.convs(torch.relu(other))
        return x + resize(moved, x.shape[-2:], self.align_corners)


def _stem(in_channels: int, width: int) -> nn.ModuleList:
    convs = (
        ConvNormAct(in_channels, width, 3, stride=2),
        ConvNormAct(width, width, 3, stride=2),
    )
    return nn.ModuleList(convs)


def _rectified(stage: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(*stage, nn.ReLU())
