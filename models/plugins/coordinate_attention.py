"""Coordinate attention: gates from the means over rows and over columns.

Paper:   Hou et al., "Coordinate Attention for Efficient Mobile Network Design", CVPR 2021,
         https://arxiv.org/abs/2103.02907
Idea:    means over rows and means over columns go through one 1x1 convolution C -> max(8, C/r),
         norm and hard-swish, then apart through one 1x1 convolution each:
         y[c, i, j] = x[c, i, j] · g_h[c, i] · g_w[c, j].
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import Norm, create_norm


class CoordinateAttention(nn.Module):
    """Channel gates that vary along the height and along the width.

    Args:
        channels: C of the input; the output has as many.
        reduction: r, how many times narrower the shared layer is; never below 8 channels.
        norm: normalisation of the shared layer.
    """

    def __init__(self, channels: int, *, reduction: int = 32, norm: Norm = "batch") -> None:
        super().__init__()
        width = max(8, channels // reduction)
        self.mix = nn.Conv2d(channels, width, 1, bias=norm == "none")
        self.norm = create_norm(norm, width)
        self.act = nn.Hardswish()
        self.rows = nn.Conv2d(width, channels, 1)
        self.columns = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x times both gates."""
        height, width = x.shape[-2:]
        rows = x.mean(dim=3, keepdim=True)  # (N, C, H, 1)
        columns = x.mean(dim=2, keepdim=True).transpose(2, 3)  # (N, C, W, 1)
        mixed = self.act(self.norm(self.mix(torch.cat([rows, columns], dim=2))))
        rows, columns = mixed.split([height, width], dim=2)
        row_gate = self.rows(rows).sigmoid()  # (N, C, H, 1)
        column_gate = self.columns(columns.transpose(2, 3)).sigmoid()  # (N, C, 1, W)
        output: Tensor = x * row_gate * column_gate
        return output
