"""APCNet: context of several grids, weighted anew for each position.

Paper:   He et al., "Adaptive Pyramid Context Network for Semantic Segmentation", CVPR 2019,
         https://openaccess.thecvf.com/content_CVPR_2019/html/He_Adaptive_Pyramid_Context_Network_for_Semantic_Segmentation_CVPR_2019_paper.html
Idea:    each position predicts, from itself and the mean of the image, a weight for each region of
         a grid, and gathers the regions' means under these weights: for grids of 1, 2, 3 and 6
         regions a side.
Head:    f5, concatenated with the context of each grid -> conv 3x3. An auxiliary FCN head on f4
         at 0.4 in training.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm
from maskzoo.models.plugins.ppm import pool_to_grid


class AdaptiveContext(nn.Module):
    """The context of one grid: (N, C, H, W) -> (N, channels, H, W).

    w = σ(W (x + g)), y = conv 1x1 (ReLU(x + conv 1x1 (Σ_r w_r p_r))) with the reduced map x, its
    projected mean g and the reduced means p_r of the regions r.

    Args:
        in_channels, channels: before and after.
        bins: regions per side of the grid.
        norm: normalisation.
    """

    def __init__(self, in_channels: int, channels: int, bins: int, *, norm: Norm = "batch") -> None:
        super().__init__()
        self.bins = bins
        self.reduce = ConvNormAct(in_channels, channels, 1, norm=norm)
        self.reduce_pooled = ConvNormAct(in_channels, channels, 1, norm=norm)
        self.mean = ConvNormAct(channels, channels, 1, norm=norm)
        self.weigh = nn.Conv2d(channels, bins * bins, 1)
        self.residual = ConvNormAct(channels, channels, 1, norm=norm)
        self.out = ConvNormAct(channels, channels, 1, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map joined with its context."""
        regions = self.reduce_pooled(pool_to_grid(x, self.bins)).flatten(2)  # (N, C, R)
        x = self.reduce(x)
        mean = self.mean(x.mean(dim=(2, 3), keepdim=True))
        weights = self.weigh(x + mean).sigmoid().flatten(2)  # (N, R, L)
        context = (regions @ weights).unflatten(2, x.shape[-2:])
        output: Tensor = self.out((self.residual(context) + x).relu())
        return output


class APCNet(Decoder):
    """Adaptive contexts of several grids beside the last feature.

    Args:
        channels: width of the output and of each context; None takes a quarter of f5's.
        bins: regions per side of each grid.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        bins: tuple[int, ...] = (1, 2, 3, 6),
    ) -> None:
        super().__init__(setup)
        in_channels = setup.encoder_channels[5]
        width = channels or max(1, in_channels // 4)
        self.out_channels = width
        self.contexts = nn.ModuleList(
            AdaptiveContext(in_channels, width, count, norm=self.norm) for count in bins
        )
        self.fuse = ConvNormAct(in_channels + len(bins) * width, width, 3, norm=self.norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the fused map of f5 and its contexts."""
        x = features[5]
        output: Tensor = self.fuse(
            torch.cat([x, *(context(x) for context in self.contexts)], dim=1)
        )
        return output
