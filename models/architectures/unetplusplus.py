"""UNet++: a U-Net whose skips are chains of densely joined nodes.

Paper:   Zhou et al., "UNet++: A Nested U-Net Architecture for Medical Image Segmentation",
         DLMIA 2018, https://arxiv.org/abs/1807.10165
Head:    X(i, 0) = f_i;  X(i, j) = conv 3x3, conv 3x3 of cat[up(X(i+1, j-1)), X(i, j-1) … X(i, 0)]
         y = X(1, 4). Node (i, j) lies at stride 2^i.
Differs: the last node of a level, X(i, 5-i), has the decoder's width and the others the
         encoder's, as in smp (the paper has VGG's widths everywhere). No deep supervision.
         Sizes follow the skips, so any image size works.
Shape:   f1 … f5 -> (N, channels[-1], h1, w1), the size of f1; of f0 with a fifth width
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.levels import LevelWidths, double_conv, step_factors
from maskzoo.models.network.upsample import Upsample


class UNetPlusPlus(Decoder):
    """Nested skips on f5 … f1.

    A level that the encoder does not have (0 channels) has only its last node.

    Args:
        channels: widths of the last nodes of the levels 4, 3, 2, 1, and of a level 0 at full
            resolution, without a skip, if there is a fifth.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: LevelWidths = (256, 128, 64, 32),
    ) -> None:
        super().__init__(setup)
        self.out_channels = channels[-1]
        self.nodes = nn.ModuleDict()
        self.upsamplings = nn.ModuleDict()
        factors = step_factors(setup)
        widths = {(level, 0): setup.encoder_channels[level] for level in range(1, 6)}
        # Node (level, column) needs (level + 1, column - 1), so build column by column.
        for column in range(1, 5):
            for level in range(5 - column, 0, -1):
                is_last = level + column == 5
                width = channels[column - 1] if is_last else setup.encoder_channels[level]
                widths[level, column] = width
                if width:
                    joined = [widths[level + 1, column - 1]]
                    joined += [widths[level, earlier] for earlier in range(column)]
                    name = f"{level}_{column}"
                    self.nodes[name] = double_conv(sum(joined), width, norm=self.norm)
                    self.upsamplings[name] = Upsample(
                        joined[0], factors[4 - level], align_corners=self.align_corners
                    )
        self.full = (
            double_conv(channels[3], channels[4], norm=self.norm) if len(channels) == 5 else None
        )
        if self.full is not None:
            self.upsamplings["full"] = Upsample(
                channels[3], factors[4], align_corners=self.align_corners
            )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return X(1, 4), or the map at full resolution after it."""
        maps = {(level, 0): features[level] for level in range(1, 6)}
        for column in range(1, 5):
            for level in range(5 - column, 0, -1):
                maps[level, column] = self._node(maps, level, column)
        x = maps[1, 4]
        if self.full is None:
            return x
        output: Tensor = self.full(self.upsamplings["full"](x, features[0].shape[-2:]))
        return output

    def _node(self, maps: dict[tuple[int, int], Tensor], level: int, column: int) -> Tensor:
        name = f"{level}_{column}"
        if name not in self.nodes:
            return maps[level, 0]  # no channels
        below = maps[level + 1, column - 1]
        up = self.upsamplings[name](below, maps[level, 0].shape[-2:])
        earlier = [maps[level, index] for index in reversed(range(column))]
        joined = [up, *(node for node in earlier if node.shape[1])]
        output: Tensor = self.nodes[name](torch.cat(joined, dim=1))
        return output
