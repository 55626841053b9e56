"""U-Net: an encoder-decoder whose levels are joined by skip connections.

Paper:   Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
         MICCAI 2015, https://arxiv.org/abs/1505.04597
Head:    x = f5; for k = 4, 3, 2, 1: x = conv 3x3, conv 3x3 of cat[up(x), f_k]
         logits = classifier(x) at stride 2, resized to the image.
Differs: convolutions are padded, so nothing is cropped; upsampling is bilinear to the skip's own
         size, so any image size works. There is no level at stride 1, whose convolutions would
         cost as much as all others together, unless `channels` has a fifth width.
Shape:   f1 … f5 -> (N, channels[-1], h1, w1), the size of f1; of f0 with a fifth width
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.levels import LevelWidths, double_conv, skip_channels, step_factors
from maskzoo.models.network.upsample import Upsample


class UNet(Decoder):
    """U-Net's expanding path on f5, with the skips f4, f3, f2, f1.

    A level that the encoder does not have (0 channels) is upsampled without a skip.

    Args:
        channels: width of the levels 4, 3, 2, 1, and of a level 0 at full resolution, without
            a skip, if there is a fifth.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: LevelWidths = (256, 128, 64, 32),
    ) -> None:
        super().__init__(setup)
        self.levels = nn.ModuleList()
        self.upsamplings = nn.ModuleList()
        below = setup.encoder_channels[5]
        skips = skip_channels(setup.encoder_channels, channels)
        for skip, width, factor in zip(skips, channels, step_factors(setup), strict=False):
            self.upsamplings.append(Upsample(below, factor, align_corners=self.align_corners))
            self.levels.append(double_conv(below + skip, width, norm=self.norm))
            below = width
        self.out_channels = below

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the map of the last level."""
        x = features[5]
        steps = zip((4, 3, 2, 1, 0), self.upsamplings, self.levels, strict=False)
        for level, upsample, convolutions in steps:
            skip = features[level]
            up = upsample(x, skip.shape[-2:])
            if level and skip.shape[1]:
                up = torch.cat([up, self.select(level, skip, x)], dim=1)
            x = convolutions(up)
        return x

    def select(self, level: int, skip: Tensor, deeper: Tensor) -> Tensor:
        """Return what goes through the skip of a level: here all of it.

        Args:
            level: 4, 3, 2 or 1.
            skip: f_level.
            deeper: the decoder's map of the level below, not yet upsampled.
        """
        return skip
