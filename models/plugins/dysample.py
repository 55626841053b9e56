"""DySample: upsampling by sampling at positions that the map itself predicts.

Paper:   Liu et al., "Learning to Upsample by Learning to Sample", ICCV 2023,
         https://arxiv.org/abs/2308.15085
Idea:    a 1x1 convolution and a pixel shuffle give every new position an offset for each of g
         groups of channels; x is sampled (bilinear) at the position of plain bilinear upsampling
         plus that offset. The offsets are 0.25 times the convolution (static scope) or 0.5 times a
         sigmoid of a second one times it (dynamic scope), in old positions (equations 3 to 6).
Differs: this is the paper's "LP" order (linear, then shuffle). The offsets are fitted to the very
         size first, so that any size is sampled directly. They start at 0 rather than near it: the
         plug-in starts as bilinear upsampling.
Shape:   (N, C, h, w) -> (N, C, H, W)
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.layers import as_float32, resize


class DySample(nn.Module):
    """Upsampling at predicted positions; bilinear at its start.

    Args:
        channels: C.
        factor: by how much the strides of both maps differ.
        groups: g; the greatest common divisor of g and C is taken.
        dynamic_scope: whether a second convolution scales the offsets.
    """

    def __init__(
        self, channels: int, factor: int = 2, *, groups: int = 4, dynamic_scope: bool = False
    ) -> None:
        super().__init__()
        self.factor = factor
        self.groups = math.gcd(channels, groups)
        self.offset = nn.Conv2d(channels, 2 * self.groups * factor**2, 1)
        self.scope = (
            nn.Conv2d(channels, 2 * self.groups * factor**2, 1, bias=False)
            if dynamic_scope
            else None
        )
        nn.init.zeros_(self.offset.weight)
        assert self.offset.bias is not None, "the convolution has a bias"
        nn.init.zeros_(self.offset.bias)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """Return x at the size (H, W)."""
        offsets = self.offsets(x, size)  # (N, g, 2, H, W)
        values = as_float32(x).unflatten(1, (self.groups, -1)).flatten(0, 1)  # (N g, C/g, h, w)
        positions = torch.stack(
            [
                _centres(size[1], x).expand(size[0], size[1]),
                _centres(size[0], x)[:, None].expand(size[0], size[1]),
            ]
        )
        # Offsets count old positions; a map of w positions is 2 wide for `grid_sample`.
        width, height = x.shape[3], x.shape[2]
        shifts = 2 * torch.stack([offsets[:, :, 0] / width, offsets[:, :, 1] / height], dim=2)
        grid = (positions + shifts).flatten(0, 1).permute(0, 2, 3, 1)
        sampled = F.grid_sample(
            values, grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        output: Tensor = sampled.unflatten(0, (x.shape[0], self.groups)).flatten(1, 2)
        return output.to(x.dtype)

    def offsets(self, x: Tensor, size: torch.Size) -> Tensor:
        """Return the offsets (x, y) of every new position, (N, g, 2, H, W), in old positions."""
        offsets = self.offset(x)
        scale = 0.25 if self.scope is None else 0.5 * self.scope(x).sigmoid()
        spread = F.pixel_shuffle(as_float32(offsets * scale), self.factor)
        output: Tensor = resize(spread, size).unflatten(1, (self.groups, 2))
        return output


def _centres(length: int, like: Tensor) -> Tensor:
    """Return the centres of `length` equal parts of -1 … 1."""
    steps = torch.arange(length, device=like.device, dtype=as_float32(like[:0]).dtype)
    return (2 * steps + 1) / length - 1
