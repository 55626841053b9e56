"""Ghost module: half of the maps are cheap copies of the other half.

Paper:   Han et al., "GhostNet: More Features from Cheap Operations", CVPR 2020,
         https://arxiv.org/abs/1911.11907
Idea:    a convolution makes m = ⌈C_out / s⌉ maps, a depth-wise d x d convolution s - 1 ghosts of
         each; norm and ReLU follow both; all together, cut to C_out.
Differs: in place of a convolution of an architecture, that layer's own norm and ReLU stay after it.
Shape:   (N, C, H, W) -> that of the convolution replaced
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm, create_norm
from maskzoo.models.plugins.convolution import as_convolution


class GhostModule(nn.Module):
    """A convolution for some maps, depth-wise copies for the rest.

    Args:
        channels: C, or the convolution to replace.
        ratio: s, how many maps come of one; 1 makes no ghosts, nor does a single map.
        ghost_size: d, side of the depth-wise kernel, odd.
        act: whether ReLUs follow, as in all but the second module of a GhostNet bottleneck.
        norm: normalisation of both convolutions.
    """

    def __init__(
        self,
        channels: int | nn.Conv2d,
        *,
        ratio: int = 2,
        ghost_size: int = 3,
        act: bool = True,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        conv = as_convolution(channels)
        self.out_channels = conv.out_channels
        width = -(-conv.out_channels // ratio)
        self.primary = nn.Sequential(
            nn.Conv2d(
                conv.in_channels,
                width,
                conv.kernel_size,  # type: ignore[arg-type]
                stride=conv.stride,  # type: ignore[arg-type]
                padding=conv.padding,  # type: ignore[arg-type]
                dilation=conv.dilation,  # type: ignore[arg-type]
                bias=norm == "none",
            ),
            create_norm(norm, width),
            nn.ReLU() if act else nn.Identity(),
        )
        self.ghosts = None
        if width < conv.out_channels:
            self.ghosts = ConvNormAct(
                width, width * (ratio - 1), ghost_size, groups=width, norm=norm, act=act
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps and their ghosts."""
        maps = self.primary(x)
        if self.ghosts is None:
            output: Tensor = maps
            return output
        return torch.cat([maps, self.ghosts(maps)], dim=1)[:, : self.out_channels]
