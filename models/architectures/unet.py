"""U-Net: an encoder-decoder whose levels are joined by skip connections.

Paper:   Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
         MICCAI 2015, https://arxiv.org/abs/1505.04597
Head:    x = f5; for k = 4, 3, 2, 1: x = conv 3x3, conv 3x3 of cat[up(x), f_k]
         logits = classifier(x) at stride 2, resized to the image.
Differs: convolutions are padded, so nothing is cropped; upsampling is bilinear to the skip's own
         size, so any image size works; there is no level at stride 1, whose convolutions would
         cost as much as all others together.
Shape:   f1 … f5 -> (N, channels[3], h1, w1), the size of f1
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn

from models.decoder import Decoder, DecoderOptions
from models.layers import ConvNormAct, resize


class UNet(Decoder):
    """U-Net's expanding path on f5, with the skips f4, f3, f2, f1.

    A level that the encoder does not have (0 channels) is upsampled without a skip.

    Args:
        channels: width of the levels 4, 3, 2, 1.
    """

    paper: ClassVar[str] = "U-Net, MICCAI 2015, https://arxiv.org/abs/1505.04597"
    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        encoder_channels: Sequence[int],
        encoder_strides: Sequence[int],
        num_classes: int,
        *,
        channels: tuple[int, int, int, int] = (256, 128, 64, 32),
        **common: Unpack[DecoderOptions],
    ) -> None:
        super().__init__(encoder_channels, encoder_strides, num_classes, **common)
        self.skip_channels = tuple(encoder_channels[level] for level in (4, 3, 2, 1))
        self.levels = nn.ModuleList()
        below = encoder_channels[5]
        for skip, width in zip(self.skip_channels, channels, strict=True):
            self.levels.append(
                nn.Sequential(
                    ConvNormAct(below + skip, width, 3, norm=self.norm),
                    ConvNormAct(width, width, 3, norm=self.norm),
                )
            )
            below = width
        self.out_channels = below

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the map of level 1."""
        x = features[5]
        for level, convolutions in zip((4, 3, 2, 1), self.levels, strict=True):
            skip = self.select(level, features[level], x)
            x = resize(x, skip.shape[-2:], self.align_corners)
            x = convolutions(torch.cat([x, skip], dim=1) if skip.shape[1] else x)
        return x

    def select(self, level: int, skip: Tensor, deeper: Tensor) -> Tensor:
        """Return what goes through the skip of a level: here all of it.

        Args:
            level: 4, 3, 2 or 1.
            skip: f_level.
            deeper: the decoder's map of the level below, not yet upsampled.
        """
        return skip
