"""Selective kernel (SK): each channel chooses between kernels of several sizes.

Paper:   Li et al., "Selective Kernel Networks", CVPR 2019, https://arxiv.org/abs/1903.06586
Idea:    branches with kernels 3, 5, …, each a 3x3 convolution of dilation 1, 2, … with norm and
         ReLU; the means of their sum go through C -> d -> C for each branch, d = max(C/r, 32), and
         a softmax over the branches weighs them: y_c = Σ_b w_bc U_bc.
Differs: in place of a convolution of a network, that layer's own norm and ReLU stay after it. The
         first branch keeps the weights of the convolution that it replaces.
Shape:   (N, C, H, W) -> that of the convolution replaced
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import Norm, create_norm
from maskzoo.models.plugins.convolution import ConvolutionLike


class SelectiveKernel(ConvolutionLike):
    """Convolutions of several dilations, mixed for each channel.

    Args:
        channels: C, or the convolution to replace.
        branches: how many kernels there are, at least 2.
        reduction: r, how many times narrower the hidden layer is.
        least_width: the hidden layer is never narrower than this.
        norm: normalisation of every branch and of the hidden layer.
    """

    def __init__(
        self,
        channels: int | nn.Conv2d,
        *,
        branches: int = 2,
        reduction: int = 16,
        least_width: int = 32,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(channels)
        count = self.out_channels
        self.wider = nn.ModuleList(_widened(self, step) for step in range(2, branches + 1))
        self.norms = nn.ModuleList(create_norm(norm, count) for _ in range(branches))
        width = max(count // reduction, least_width)
        self.squeeze = nn.Conv2d(count, width, 1, bias=norm == "none")
        self.squeeze_norm = create_norm(norm, width)
        self.select = nn.Conv2d(width, count * branches, 1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Return the weighted sum of the branches."""
        maps = [super().forward(input), *(conv(input) for conv in self.wider)]
        pairs = zip(self.norms, maps, strict=True)
        stacked = torch.stack([norm(x).relu() for norm, x in pairs], dim=1)  # (N, B, C, H, W)
        means = stacked.sum(dim=1).mean(dim=(2, 3), keepdim=True)
        hidden = self.squeeze_norm(self.squeeze(means)).relu()
        weights = self.select(hidden).unflatten(1, (len(maps), -1)).softmax(dim=1)
        output: Tensor = (stacked * weights).sum(dim=1)
        return output


def _widened(conv: nn.Conv2d, step: int) -> nn.Conv2d:
    """Return a new convolution like `conv`, of `step` times its dilation."""
    assert not isinstance(conv.padding, str), "the convolutions of networks pad by numbers"
    return nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        stride=conv.stride,  # type: ignore[arg-type]
        padding=tuple(step * side for side in conv.padding),  # type: ignore[arg-type]
        dilation=tuple(step * side for side in conv.dilation),  # type: ignore[arg-type]
        groups=conv.groups,
        bias=conv.bias is not None,
    )
