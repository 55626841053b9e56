"""BiSeNetV2's semantic branch: narrow, deep, of depth-wise convolutions.

Paper:   Yu et al., "BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic
         Segmentation", IJCV 2021, section 4.2, https://arxiv.org/abs/2004.02147
Idea:    a stem that halves its map by a convolution and by a max-pool side by side, then
         gather-and-expansion layers: a 3x3 convolution, a depth-wise one that expands the channels
         six times, and a 1x1 that brings them back; in a strided layer two depth-wise ones.
Differs: a ReLU follows the expansion, as in the code that published weights were trained with.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import relu

from maskzoo.models.network.layers import ConvNormAct

_STAGES = (2, 2, 4)  # layers at stride 8, 16 and 32


class SemanticBranch(nn.Module):
    """The semantic branch: (N, C_in, H, W) -> [f0, …, f5].

    Args:
        in_channels: of the image.
        channels: at strides 4, 8, 16 and 32; f1 has those of stride 4.
        expansion: of the channels inside a layer.

    Attributes:
        out_channels: of f0 … f5.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        channels: tuple[int, int, int, int] = (16, 32, 64, 128),
        expansion: Annotated[int, Field(ge=1)] = 6,
    ) -> None:
        super().__init__()
        first = channels[0]
        self.out_channels = (in_channels, first, *channels)
        self.stem = ConvNormAct(in_channels, first, 3, stride=2)
        half = max(1, first // 2)
        self.stem_convs = nn.Sequential(
            ConvNormAct(first, half, 1), ConvNormAct(half, first, 3, stride=2)
        )
        self.stem_pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stem_fuse = ConvNormAct(2 * first, first, 3)
        self.stages = nn.ModuleList(
            nn.Sequential(
                GatherExpand(before, after, expansion, stride=2),
                *(GatherExpand(after, after, expansion) for _ in range(layers - 1)),
            )
            for before, after, layers in zip(channels[:-1], channels[1:], _STAGES, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features."""
        half = self.stem(x)
        y = self.stem_fuse(torch.cat([self.stem_convs(half), self.stem_pool(half)], dim=1))
        features = [x, half, y]
        for stage in self.stages:
            y = stage(y)
            features.append(y)
        return features


class GatherExpand(nn.Module):
    """One gather-and-expansion layer: (N, C, h, w) -> (N, C', h / stride, w / stride)."""

    def __init__(
        self, in_channels: int, out_channels: int, expansion: int, *, stride: int = 1
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        self.gather = ConvNormAct(in_channels, in_channels, 3)
        self.shortcut: nn.Module = nn.Identity()
        if stride == 1:
            self.expand = nn.Sequential(ConvNormAct(in_channels, width, 3, groups=in_channels))
        else:
            self.expand = nn.Sequential(
                ConvNormAct(in_channels, width, 3, stride=stride, groups=in_channels, act=False),
                ConvNormAct(width, width, 3, groups=width),
            )
            self.shortcut = nn.Sequential(
                ConvNormAct(
                    in_channels, in_channels, 3, stride=stride, groups=in_channels, act=False
                ),
                ConvNormAct(in_channels, out_channels, 1, act=False),
            )
        self.reduce = ConvNormAct(width, out_channels, 1, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output, after its ReLU."""
        return relu(self.reduce(self.expand(self.gather(x))) + self.shortcut(x))
