"""Sub-pixel convolution: one convolution makes all new positions of an old one.

Paper:   Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
         Convolutional Neural Network", CVPR 2016, https://arxiv.org/abs/1609.05158; Aitken et al.,
         "Checkerboard artifact free sub-pixel convolution", 2017, https://arxiv.org/abs/1707.02937
Idea:    a convolution C -> σ² C, whose channels a pixel shuffle lays out as σ x σ new positions.
         The σ² kernels of one output channel start equal (ICNR), so that all new positions of an
         old one start equal and no checkerboard can show.
Differs: the common kernel starts as the identity, so that the plug-in starts as enlargement by the
         nearest value; then the map is fitted to the very size (bilinear).
Shape:   (N, C, h, w) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.layers import resize


class PixelShuffle(nn.Module):
    """Upsampling by a convolution and a pixel shuffle; nearest at its start.

    Args:
        channels: C.
        factor: σ, by how much the strides of both maps differ.
        kernel_size: side of the convolution, odd.
        align_corners: convention of the last resize.
    """

    def __init__(
        self,
        channels: int,
        factor: int = 2,
        *,
        kernel_size: int = 3,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.factor = factor
        self.align_corners = align_corners
        self.conv = nn.Conv2d(channels, channels * factor**2, kernel_size, padding=kernel_size // 2)
        kernels = torch.empty(channels, channels, kernel_size, kernel_size)
        nn.init.dirac_(kernels)
        with torch.no_grad():
            self.conv.weight.copy_(kernels.repeat_interleave(factor**2, dim=0))
        assert self.conv.bias is not None, "the convolution has a bias"
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """Return x at the size (H, W)."""
        return resize(F.pixel_shuffle(self.conv(x), self.factor), size, self.align_corners)
