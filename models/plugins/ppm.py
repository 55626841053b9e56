"""Pyramid pooling module (PPM): means over grids of 1, 2, 3 and 6 regions beside the map.

Paper:   Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017, section 3.2,
         https://arxiv.org/abs/1612.01105
Idea:    average over a grid of b x b regions for b = 1, 2, 3, 6, a 1x1 convolution to C/4 for
         each, back to the map's size, and all of them beside the map itself.
         y = conv 3x3 (cat[x, p1, p2, p3, p6]), in this order.
Differs: the regions are those of adaptive average pooling, but computed by two matrix products.
         That exports to ONNX with a dynamic size, takes maps smaller than a grid, and has a
         deterministic gradient on CUDA; torch's adaptive pooling has none of the three.
Shape:   (N, C, H, W) -> (N, out_channels, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm, resize


class PyramidPooling(nn.Module):
    """Context of the whole image, its halves, thirds and sixths.

    Args:
        channels: C of the input.
        out_channels: channels of the output; None takes C.
        width: channels of each pooled branch; None takes C divided by the number of bins.
        bins: regions per side of each branch.
    """

    def __init__(
        self,
        channels: int,
        *,
        out_channels: int | None = None,
        width: int | None = None,
        bins: tuple[int, ...] = (1, 2, 3, 6),
        norm: Norm = "batch",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        width = width or max(1, channels // len(bins))
        self.bins = tuple(bins)
        self.align_corners = align_corners
        self.branches = nn.ModuleList(ConvNormAct(channels, width, 1, norm=norm) for _ in bins)
        self.bottleneck = ConvNormAct(
            channels + len(self.bins) * width, out_channels or channels, 3, norm=norm
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the 3x3 convolution of the pyramid."""
        output: Tensor = self.bottleneck(self.pyramid(x))
        return output

    def pyramid(self, x: Tensor) -> Tensor:
        """Return cat[x, p1, p2, p3, p6] (N, C + bins · width, H, W)."""
        levels = [
            resize(branch(pool_to_grid(x, bins)), x.shape[-2:], self.align_corners)
            for bins, branch in zip(self.bins, self.branches, strict=True)
        ]
        return torch.cat([x, *levels], dim=1)


def pool_to_grid(x: Tensor, bins: int) -> Tensor:
    """Return the means over a grid of regions: (N, C, H, W) -> (N, C, bins, bins).

    Region i of n covers the rows floor(i·H/n) … ceil((i+1)·H/n) - 1, as in
    `torch.nn.functional.adaptive_avg_pool2d`; neighbours overlap where n does not divide H.
    """
    if bins == 1:
        return x.mean(dim=(2, 3), keepdim=True)
    rows, columns = (_region_means(size, bins, x) for size in x.shape[-2:])
    return rows @ (x @ columns.T)


def _region_means(size: int, bins: int, like: Tensor) -> Tensor:
    """Return the matrix (bins, size) that averages `size` values over the regions."""
    region = torch.arange(bins, device=like.device)[:, None]
    position = torch.arange(size, device=like.device)[None]
    start = region * size // bins
    end = ((region + 1) * size + bins - 1) // bins
    inside = ((position >= start) & (position < end)).to(like.dtype)
    return inside / (end - start).to(like.dtype)
