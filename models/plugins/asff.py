"""Adaptively Spatial Feature Fusion (ASFF): each level becomes a mixture of all levels.

Paper:   Liu et al., "Learning Spatial Fusion for Single-Shot Object Detection", 2019,
         https://arxiv.org/abs/1911.09516
Idea:    every level becomes a mixture of all levels, the weights learnt for each pixel: with all
         maps brought to the size and width of level l, y_l = expand(Σ_i w_i · x_i), w = softmax
         over the levels of a 1x1 convolution of 1x1 convolutions of each map.
Differs: written from the paper's description. It has three levels with exact ratios 1/2; here
         any number of levels and any sizes: a deeper map is compressed by a 1x1 convolution and
         enlarged to the very size (nearest), a shallower one halved by 3x3 max-pools and one 3x3
         convolution of stride 2, then fitted to the very size. The width inside is at most 256.
Licence: from the paper; the authors' code is GPL-3.0 and none of it is here.
Shape:   L maps (N, C_l, H_l, W_l) -> L maps of the same shapes
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.layers import Norm, create_norm


class AdaptiveFusion(nn.Module):
    """Every level fused with all others.

    Args:
        channels: C_l of the levels, shallow ones first.
        strides: of the levels; None doubles from one to the next.
        width: channels inside, at most; None takes 256.
        weight_channels: width of what the weights are computed from.
        norm: normalisation of every convolution.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int] | None = None,
        *,
        width: int | None = None,
        weight_channels: int = 16,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        strides = strides or [2**level for level in range(len(channels))]
        self.levels = nn.ModuleList(
            FusedLevel(level, channels, strides, width or 256, weight_channels, norm)
            for level in range(len(channels))
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return the fused maps."""
        return [level(features) for level in self.levels]


class FusedLevel(nn.Module):
    """One level's mixture of all levels."""

    def __init__(
        self,
        level: int,
        channels: Sequence[int],
        strides: Sequence[int],
        width: int,
        weight_channels: int,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.level = level
        inside = min(channels[level], width)
        self.fit = nn.ModuleList(
            _fit(count, inside, stride, strides[level], norm)
            for count, stride in zip(channels, strides, strict=True)
        )
        self.scores = nn.ModuleList(_conv(inside, weight_channels, 1, norm) for _ in channels)
        self.weigh = nn.Conv2d(weight_channels * len(channels), len(channels), 1)
        self.expand = _conv(inside, channels[level], 3, norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the fused map at the size of this level."""
        size = features[self.level].shape[-2:]
        maps = [
            F.interpolate(fit(feature), size=size, mode="nearest")
            for fit, feature in zip(self.fit, features, strict=True)
        ]
        weights = self.weights(maps)
        mixed = torch.stack([weights[:, i : i + 1] * x for i, x in enumerate(maps)]).sum(dim=0)
        output: Tensor = self.expand(mixed)
        return output

    def weights(self, maps: list[Tensor]) -> Tensor:
        """Return (N, L, H, W), summing to 1 over the levels at every pixel."""
        scores = [score(x) for score, x in zip(self.scores, maps, strict=True)]
        output: Tensor = self.weigh(torch.cat(scores, dim=1)).softmax(dim=1)
        return output


def _fit(channels: int, width: int, stride: int, wanted: int, norm: Norm) -> nn.Module:
    """Return the layers that bring a map of `stride` to the channels and stride of a level."""
    halvings = round(math.log2(wanted / stride))
    if halvings > 0:
        pools = [nn.MaxPool2d(3, stride=2, padding=1) for _ in range(halvings - 1)]
        return nn.Sequential(*pools, _conv(channels, width, 3, norm, stride=2))
    return nn.Identity() if channels == width else _conv(channels, width, 1, norm)


def _conv(
    in_channels: int, out_channels: int, kernel_size: int, norm: Norm, stride: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            bias=norm == "none",
        ),
        create_norm(norm, out_channels),
        nn.LeakyReLU(0.1, inplace=True),
    )
