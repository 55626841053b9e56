"""LinkNet: a light decoder whose levels are added to the encoder's.

Paper:   Chaurasia and Culurciello, "LinkNet: Exploiting Encoder Representations for Efficient
         Semantic Segmentation", VCIP 2017, https://arxiv.org/abs/1707.03718
Head:    x = f5; for k = 4, 3, 2, 1: x = block(x) + f_k; y = block(x) at full resolution
         block: conv 1x1 to C/4, transposed conv of stride 2, conv 1x1 to the level's channels.
Differs: the transposed convolution has a 4x4 kernel, as in smp, which leaves no checkerboard; it
         is cropped to the skip's size, so any image size works. Levels of equal stride (a dilated
         encoder) have a 3x3 convolution in its place.
Shape:   f1 … f5 -> (N, channels, H, W), the size of the image
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm, create_norm, crop


class LinkNet(Decoder):
    """Levels added to the encoder's.

    A level that the encoder does not have (0 channels) is not added.

    Args:
        channels: width of the map at full resolution.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int = 32,
    ) -> None:
        super().__init__(setup)
        self.out_channels = channels
        self.blocks = nn.ModuleList()
        below = setup.encoder_channels[5]
        for level in (4, 3, 2, 1, 0):
            width = (setup.encoder_channels[level] or below) if level else channels
            doubles = setup.encoder_strides[level] < setup.encoder_strides[level + 1]
            self.blocks.append(_Block(below, width, doubles=doubles, norm=self.norm))
            below = width

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the map at full resolution."""
        x = features[5]
        for level, block in zip((4, 3, 2, 1, 0), self.blocks, strict=True):
            skip = features[level]
            x = crop(block(x), skip.shape[-2:])
            if level and skip.shape[1]:
                x = x + skip
        return x


class _Block(nn.Sequential):
    """1x1 to a quarter, transposed convolution, 1x1."""

    def __init__(self, in_channels: int, out_channels: int, *, doubles: bool, norm: Norm) -> None:
        super().__init__()
        width = max(1, in_channels // 4)
        self.reduce = ConvNormAct(in_channels, width, 1, norm=norm)
        self.up = (
            nn.Sequential(
                nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=norm == "none"),
                create_norm(norm, width),
                nn.ReLU(inplace=True),
            )
            if doubles
            else ConvNormAct(width, width, 3, norm=norm)
        )
        self.expand = ConvNormAct(width, out_channels, 1, norm=norm)
