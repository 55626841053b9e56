"""Receptive Field Block (RFB): branches of growing kernel and dilation.

Paper:   Liu et al., "Receptive Field Block Net for Accurate and Fast Object Detection", ECCV 2018,
         https://arxiv.org/abs/1711.07767
Idea:    branches of growing kernel and dilation, as receptive fields grow with eccentricity:
         y = ReLU(scale · conv1x1(cat[branches]) + shortcut(x)). Norm and ReLU follow every
         convolution, but no ReLU the last one of a branch, the one that joins them, and the
         shortcut.
Differs: `variant=rfb` has the three branches of the authors' later code, `variant=rfb_s` the four
         of their smaller block. Scale 0.1 is the class's default; their VGG network passes 1.0.
Shape:   (N, C, H, W) -> (N, out_channels, H/stride, W/stride)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import Norm, create_norm

_MOMENTUM = 0.01  # of the batch norms, as in the authors' code


class ReceptiveFieldBlock(nn.Module):
    """Dilated branches, joined, scaled and added to a shortcut.

    Args:
        channels: C of the input.
        out_channels: channels of the output; None takes C.
        stride: of the whole block.
        scale: weight of the branches against the shortcut.
        visual: v, the dilation of the first branch; the others have v + 1 and 2 v + 1.
        variant: which set of branches.
        norm: normalisation of every convolution.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int | None = None,
        stride: int = 1,
        *,
        scale: float = 0.1,
        visual: int = 1,
        variant: Literal["rfb", "rfb_s"] = "rfb",
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        width = out_channels or channels
        self.scale = scale
        if variant == "rfb":
            self.branches = nn.ModuleList(_branches(channels, stride, visual, norm))
        else:
            self.branches = nn.ModuleList(_small_branches(channels, stride, norm))
        joined = (6 if variant == "rfb" else 4) * _width(channels, variant)
        self.join = _conv(joined, width, act=False, norm=norm)
        self.shortcut = _conv(channels, width, stride=stride, act=False, norm=norm)
        self.act = nn.ReLU()
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = _MOMENTUM

    def forward(self, x: Tensor) -> Tensor:
        """Return ReLU(scale · branches + shortcut)."""
        joined = self.join(torch.cat([branch(x) for branch in self.branches], dim=1))
        output: Tensor = self.act(self.scale * joined + self.shortcut(x))
        return output


def _width(channels: int, variant: str) -> int:
    return max(1, channels // (8 if variant == "rfb" else 4))


def _branches(channels: int, stride: int, visual: int, norm: Norm) -> list[nn.Sequential]:
    n = _width(channels, "rfb")
    middle = max(1, n // 2 * 3)
    return [
        nn.Sequential(
            _conv(channels, 2 * n, stride=stride, norm=norm),
            _conv(2 * n, 2 * n, 3, dilation=visual, act=False, norm=norm),
        ),
        nn.Sequential(
            _conv(channels, n, norm=norm),
            _conv(n, 2 * n, 3, stride=stride, norm=norm),
            _conv(2 * n, 2 * n, 3, dilation=visual + 1, act=False, norm=norm),
        ),
        nn.Sequential(
            _conv(channels, n, norm=norm),
            _conv(n, middle, 3, norm=norm),
            _conv(middle, 2 * n, 3, stride=stride, norm=norm),
            _conv(2 * n, 2 * n, 3, dilation=2 * visual + 1, act=False, norm=norm),
        ),
    ]


def _small_branches(channels: int, stride: int, norm: Norm) -> list[nn.Sequential]:
    n = _width(channels, "rfb_s")
    half, middle = max(1, n // 2), max(1, n // 4 * 3)
    return [
        nn.Sequential(
            _conv(channels, n, norm=norm), _conv(n, n, 3, stride=stride, act=False, norm=norm)
        ),
        nn.Sequential(
            _conv(channels, n, norm=norm),
            _conv(n, n, (3, 1), norm=norm),
            _conv(n, n, 3, stride=stride, dilation=3, act=False, norm=norm),
        ),
        nn.Sequential(
            _conv(channels, n, norm=norm),
            _conv(n, n, (1, 3), stride=stride, norm=norm),
            _conv(n, n, 3, dilation=3, act=False, norm=norm),
        ),
        nn.Sequential(
            _conv(channels, half, norm=norm),
            _conv(half, middle, (1, 3), norm=norm),
            _conv(middle, n, (3, 1), stride=stride, norm=norm),
            _conv(n, n, 3, dilation=5, act=False, norm=norm),
        ),
    ]


def _conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int] = 1,
    *,
    stride: int = 1,
    dilation: int = 1,
    act: bool = True,
    norm: Norm = "batch",
) -> nn.Sequential:
    sides = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    padding = (dilation * (sides[0] - 1) // 2, dilation * (sides[1] - 1) // 2)
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        sides,
        stride=stride,
        padding=padding,
        dilation=dilation,
        bias=norm == "none",
    )
    layers = [conv, create_norm(norm, out_channels)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if act else nn.Sequential(*layers)
