"""SPNet: means over rows, columns and two grids, mixed with the map twice.

Paper:   Hou et al., "Strip Pooling: Rethinking Spatial Pooling for Scene Parsing", CVPR 2020,
         https://arxiv.org/abs/2003.13328
Head:    x = conv 1x1 (f5); twice x = ReLU(x + conv 1x1 (cat[short, long])); output = conv 3x3 (x).
         short = conv 3x3 (ReLU(conv 3x3 (y) + up(conv 3x3 (y in a grid of 20)) + up(conv 3x3 (y in
         a grid of 12)))), long = conv 3x3 (ReLU(conv 1x3 (mean of each column of z) + conv 3x1
         (mean of each row of z))), y and z two 1x1 convolutions of x to a quarter of its channels.
         In training an auxiliary FCN head on f4 at 0.4.
Differs: the paper's encoder has strip pooling in some of its residual blocks too, which here is
         `strip_pooling@encoder.5.block`.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm, create_norm, resize
from maskzoo.models.plugins.ppm import pool_to_grid

GRIDS = (20, 12)


class SPNet(Decoder):
    """Two mixed poolings of f5.

    Args:
        channels: width of the output; None takes a quarter of f5's. The poolings have twice as
            many.
        grids: regions per side of both grids.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: Annotated[int, Field(ge=1)] | None = None,
        grids: tuple[int, int] = GRIDS,
    ) -> None:
        super().__init__(setup)
        in_channels = setup.encoder_channels[5]
        width = channels or max(1, in_channels // 4)
        self.out_channels = width
        self.reduce = ConvNormAct(in_channels, 2 * width, 1, norm=self.norm)
        self.mixed = nn.Sequential(
            *(
                MixedPooling(2 * width, grids, norm=self.norm, align_corners=self.align_corners)
                for _ in range(2)
            )
        )
        self.out = ConvNormAct(2 * width, width, 3, norm=self.norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return f5 with its pooled context."""
        output: Tensor = self.out(self.mixed(self.reduce(features[5])))
        return output


class MixedPooling(nn.Module):
    """A map with its context of grids and strips: (N, C, h, w) -> (N, C, h, w).

    Args:
        channels: C.
        grids: regions per side of both grids.
        norm: normalisation.
        align_corners: convention of the resizes.
    """

    def __init__(
        self,
        channels: int,
        grids: tuple[int, int] = GRIDS,
        *,
        norm: Norm = "batch",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        width = max(1, channels // 4)
        self.grids = tuple(grids)
        self.align_corners = align_corners
        self.short = ConvNormAct(channels, width, 1, norm=norm)
        self.long = ConvNormAct(channels, width, 1, norm=norm)
        self.same = ConvNormAct(width, width, 3, norm=norm, act=False)
        self.pooled = nn.ModuleList(
            ConvNormAct(width, width, 3, norm=norm, act=False) for _ in self.grids
        )
        self.columns = _strip(width, (1, 3), norm)
        self.rows = _strip(width, (3, 1), norm)
        self.short_out = ConvNormAct(width, width, 3, norm=norm)
        self.long_out = ConvNormAct(width, width, 3, norm=norm)
        self.out = ConvNormAct(2 * width, channels, 1, norm=norm, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rectified sum."""
        short, long = self.short(x), self.long(x)
        near = self.same(short)
        for bins, conv in zip(self.grids, self.pooled, strict=True):
            pooled = conv(pool_to_grid(short, bins))
            near = near + resize(pooled, x.shape[-2:], self.align_corners)
        columns = self.columns(long.mean(dim=2, keepdim=True))  # (N, C/4, 1, w)
        rows = self.rows(long.mean(dim=3, keepdim=True))  # (N, C/4, h, 1)
        mixed = [self.short_out(torch.relu(near)), self.long_out(torch.relu(columns + rows))]
        return torch.relu(x + self.out(torch.cat(mixed, dim=1)))


def _strip(channels: int, kernel: tuple[int, int], norm: Norm) -> nn.Sequential:
    """Return a convolution along one axis with a norm."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    conv = nn.Conv2d(channels, channels, kernel, padding=padding, bias=norm == "none")
    return nn.Sequential(conv, create_norm(norm, channels))
