"""Upsample: a place where a decoder enlarges a map, and where a plug-in may do so instead.

It has no parameters, so a decoder's tensors are named as if it were not there.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.layers import resize


class Upsample(nn.Module):
    """Enlargement to a given size: (N, C, h, w) -> (N, C, H, W).

    Args:
        channels: C.
        factor: by how much the strides of both maps differ; H is about `factor` times h.
        align_corners: convention of a bilinear resize.
        mode: `bilinear`, or `nearest`, which repeats the nearest value.
    """

    def __init__(
        self,
        channels: int,
        factor: int,
        *,
        align_corners: bool = False,
        mode: Literal["bilinear", "nearest"] = "bilinear",
    ) -> None:
        super().__init__()
        self.channels = channels
        self.factor = factor
        self.align_corners = align_corners
        self.mode = mode

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """Return x at the size (H, W)."""
        if self.mode == "nearest":
            return F.interpolate(x, size=tuple(size))
        return resize(x, size, self.align_corners)
