"""DMNet: depth-wise convolutions whose kernels the image itself gives.

Paper:   He et al., "Dynamic Multi-Scale Filters for Semantic Segmentation", ICCV 2019,
         https://openaccess.thecvf.com/content_ICCV_2019/html/He_Dynamic_Multi-Scale_Filters_for_Semantic_Segmentation_ICCV_2019_paper.html
Idea:    the means over a grid of k x k regions, through a 1x1 convolution, are a kernel of k x k
         for each channel; the map is convolved with it: for k = 1, 3, 5 and 7.
Head:    f5, concatenated with the result of each k -> conv 3x3. An auxiliary FCN head on f4 at
         0.4 in training.
Differs: the convolution is a sum of shifted products. A grouped one has as many groups as the
         batch has channels, which ties an exported network to its batch.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm, create_norm
from maskzoo.models.plugins.ppm import pool_to_grid


class DynamicConv(nn.Module):
    """A depth-wise convolution with kernels of the image: (N, C, H, W) -> (N, channels, H, W).

    Args:
        in_channels, channels: before and after.
        size: k, the side of the kernels.
        norm: normalisation.
    """

    def __init__(self, in_channels: int, channels: int, size: int, *, norm: Norm = "batch") -> None:
        super().__init__()
        self.size = size
        self.kernels = nn.Conv2d(in_channels, channels, 1)
        self.reduce = ConvNormAct(in_channels, channels, 1, norm=norm)
        self.norm = create_norm(norm, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map convolved with the kernels that it gives."""
        kernels = self.kernels(pool_to_grid(x, self.size))  # (N, channels, k, k)
        output: Tensor = self.norm(convolve(self.reduce(x), kernels)).relu()
        return output


class DMNet(Decoder):
    """Dynamic convolutions of several sizes beside the last feature.

    Args:
        channels: width of the output and of each convolution; None takes a quarter of f5's.
        sizes: sides of the kernels.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        sizes: tuple[int, ...] = (1, 3, 5, 7),
    ) -> None:
        super().__init__(setup)
        in_channels = setup.encoder_channels[5]
        width = channels or max(1, in_channels // 4)
        self.out_channels = width
        self.convs = nn.ModuleList(
            DynamicConv(in_channels, width, size, norm=self.norm) for size in sizes
        )
        self.fuse = ConvNormAct(in_channels + len(sizes) * width, width, 3, norm=self.norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the fused map of f5 and its convolutions."""
        x = features[5]
        output: Tensor = self.fuse(torch.cat([x, *(conv(x) for conv in self.convs)], dim=1))
        return output


def convolve(x: Tensor, kernels: Tensor) -> Tensor:
    """Convolve each channel of each image with a kernel of its own, padded with zeros.

    A kernel of an even side reaches one further up and left, as in mmsegmentation.

    Args:
        x: (N, C, H, W).
        kernels: (N, C, k, k).

    Returns:
        (N, C, H, W).
    """
    height, width = x.shape[-2:]
    side = kernels.shape[-1]
    before, after = side // 2, (side - 1) // 2
    padded = F.pad(x, (before, after, before, after))
    total = torch.zeros_like(x)
    for row in range(side):
        for column in range(side):
            moved = padded[..., row : row + height, column : column + width]
            total = total + moved * kernels[..., row : row + 1, column : column + 1]
    return total
