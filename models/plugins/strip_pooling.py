"""Strip pooling: positions gated by the means of their row and of their column.

Paper:   Hou et al., "Strip Pooling: Rethinking Spatial Pooling for Scene Parsing", CVPR 2020,
         https://arxiv.org/abs/2003.13328
Idea:    the means over each row go through a convolution of kernel 3 along the height, those over
         each column through one along the width; both are spread over the map and added,
         s[c, i, j] = h[c, i] + v[c, j], and y = x · sigmoid(W ReLU(s)) (equations 3 to 5).
Differs: a norm follows each strip's convolution.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from torch import Tensor, nn

from maskzoo.models.network.layers import Norm, create_norm


class StripPooling(nn.Module):
    """Gate from the means over rows and columns.

    Args:
        channels: C of the input; the output has as many.
        norm: normalisation of both strips.
    """

    def __init__(self, channels: int, *, norm: Norm = "batch") -> None:
        super().__init__()
        bias = norm == "none"
        self.rows = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0), bias=bias)
        self.rows_norm = create_norm(norm, channels)
        self.columns = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1), bias=bias)
        self.columns_norm = create_norm(norm, channels)
        self.act = nn.ReLU(inplace=True)
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x times its gate in (0, 1)."""
        rows = self.rows_norm(self.rows(x.mean(dim=3, keepdim=True)))  # (N, C, H, 1)
        columns = self.columns_norm(self.columns(x.mean(dim=2, keepdim=True)))  # (N, C, 1, W)
        output: Tensor = x * self.gate(self.act(rows + columns)).sigmoid()
        return output
