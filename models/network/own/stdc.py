"""STDC: blocks whose convolutions halve their channels one after the other and are all kept.

Paper:   Fan et al., "Rethinking BiSeNet For Real-time Semantic Segmentation", CVPR 2021, section
         3.1, https://arxiv.org/abs/2104.13188
Idea:    a block of C channels has a 1x1 convolution to C/2 and 3x3 ones to C/4, C/8 and C/8, whose
         outputs are concatenated. A strided block halves the map behind the 1x1 convolution,
         depth-wise for the others and by the mean for itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct


class ShortTermDense(nn.Module):
    """STDC1 or STDC2: (N, C_in, H, W) -> [f0, …, f5].

    Args:
        in_channels: of the image.
        channels: at strides 2, 4, 8, 16 and 32; those from stride 8 on are multiples of 8.
        blocks: at strides 8, 16 and 32.

    Attributes:
        out_channels: of f0 … f5.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        channels: tuple[int, int, int, int, int] = (32, 64, 256, 512, 1024),
        blocks: tuple[int, int, int] = (2, 2, 2),
    ) -> None:
        super().__init__()
        self.out_channels = (in_channels, *channels)
        stages: list[nn.Module] = [
            ConvNormAct(in_channels, channels[0], 3, stride=2),
            ConvNormAct(channels[0], channels[1], 3, stride=2),
        ]
        for before, after, count in zip(channels[1:-1], channels[2:], blocks, strict=True):
            stages.append(
                nn.Sequential(
                    DenseBlock(before, after, stride=2),
                    *(DenseBlock(after, after) for _ in range(count - 1)),
                )
            )
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features."""
        features = [x]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features


class DenseBlock(nn.Module):
    """One block: (N, C, h, w) -> (N, C', h / stride, w / stride)."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        half = out_channels // 2
        self.first = ConvNormAct(in_channels, half, 1)
        self.down: nn.Module = nn.Identity()
        self.pool: nn.Module = nn.Identity()
        if stride != 1:
            self.down = ConvNormAct(half, half, 3, stride=stride, groups=half, act=False)
            self.pool = nn.AvgPool2d(3, stride=stride, padding=1)
        self.convs = nn.ModuleList(
            [
                ConvNormAct(half, out_channels // 4, 3),
                ConvNormAct(out_channels // 4, out_channels // 8, 3),
                ConvNormAct(out_channels // 8, out_channels // 8, 3),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return all convolutions' outputs, concatenated."""
        x = self.first(x)
        outputs = [self.pool(x)]
        y = self.down(x)
        for conv in self.convs:
            y = conv(y)
            outputs.append(y)
        return torch.cat(outputs, dim=1)
