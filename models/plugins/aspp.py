"""Atrous spatial pyramid pooling (ASPP): convolutions at several dilations, and the mean.

Paper:   Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017,
         section 3.3, https://arxiv.org/abs/1706.05587
Idea:    look at the map through a 1x1 convolution, dilated 3x3 convolutions of several rates and
         the mean of the whole image, each with norm and ReLU, and project all of them to one map.
         y = project(cat[image mean, 1x1, rate 1, rate 2, …]), in mmsegmentation's order;
         torchvision and smp put the image mean last.
Differs: nothing; `separable` is DeepLabV3+'s form (https://arxiv.org/abs/1802.02611).
Shape:   (N, C, H, W) -> (N, out_channels, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm, SeparableConv


class AtrousPyramid(nn.Module):
    """Context at several rates of dilation and of the whole image.

    Args:
        channels: C of the input.
        out_channels: channels of the output; None takes C.
        width: channels of each branch; None takes `out_channels`.
        rates: dilation of the 3x3 branches; for a map of stride 16, and twice that at stride 8.
        separable: depth-wise separable 3x3 branches.
        projection: side of the projection's kernel; 1 in the paper, 3 in mmsegmentation.
    """

    def __init__(
        self,
        channels: int,
        *,
        out_channels: int | None = None,
        width: int | None = None,
        rates: tuple[int, ...] = (6, 12, 18),
        separable: bool = False,
        projection: int = 1,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        out_channels = out_channels or channels
        width = width or out_channels
        self.pool = ConvNormAct(channels, width, 1, norm=norm)
        self.branches = nn.ModuleList([ConvNormAct(channels, width, 1, norm=norm)])
        for rate in rates:
            self.branches.append(
                SeparableConv(channels, width, dilation=rate, norm=norm)
                if separable
                else ConvNormAct(channels, width, 3, dilation=rate, norm=norm)
            )
        self.project = ConvNormAct((len(rates) + 2) * width, out_channels, projection, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the projection of all branches."""
        mean = self.pool(x.mean(dim=(2, 3), keepdim=True))
        mean = mean.expand(-1, -1, *x.shape[-2:])
        output: Tensor = self.project(
            torch.cat([mean, *(branch(x) for branch in self.branches)], dim=1)
        )
        return output


def rates_at_stride(stride: int) -> tuple[int, ...]:
    """Return the dilations that span the same pixels at every output stride."""
    return tuple(rate * 16 // stride for rate in (6, 12, 18))
