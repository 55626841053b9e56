"""Double attention (A²): features gathered from all positions, then handed out to each.

Paper:   Chen et al., "A²-Nets: Double Attention Networks", NeurIPS 2018,
         https://arxiv.org/abs/1810.11579
Idea:    A = φ(x) (C_m, L), B = softmax over the positions of θ(x) (C_n, L), V = softmax over the
         C_n of ρ(x) (C_n, L); G = A Bᵀ gathers C_n global descriptors, Z = G V hands them out, and
         y = x + W Z. Linear in the positions L.
Differs: W ends in a norm whose scale starts at 0, as in the authors' code, so that the block starts
         as the identity.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm, as_float32, start_at_zero


class DoubleAttention(nn.Module):
    """Second-order gathering and distribution; the identity at its start.

    Args:
        channels: C of the input; the output has as many.
        reduction: C_m and C_n are C / reduction, at least 2.
        norm: normalisation after W; with `none` the convolution itself starts at 0.
    """

    def __init__(self, channels: int, *, reduction: int = 4, norm: Norm = "batch") -> None:
        super().__init__()
        width = max(2, channels // reduction)  # a softmax over one channel is always 1
        self.features = nn.Conv2d(channels, width, 1)  # φ
        self.gather = nn.Conv2d(channels, width, 1)  # θ
        self.distribute = nn.Conv2d(channels, width, 1)  # ρ
        self.out = ConvNormAct(width, channels, 1, norm=norm, act=False)
        start_at_zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Return x + W Z."""
        features = self.features(x).flatten(2)  # (N, C_m, L)
        gather = as_float32(self.gather(x).flatten(2)).softmax(dim=2)
        distribute = as_float32(self.distribute(x).flatten(2)).softmax(dim=1)
        with torch.autocast(x.device.type, enabled=False):
            descriptors = as_float32(features) @ gather.transpose(1, 2)  # (N, C_m, C_n)
            context = (descriptors @ distribute).to(features.dtype)
        output: Tensor = x + self.out(context.unflatten(2, x.shape[-2:]))
        return output
