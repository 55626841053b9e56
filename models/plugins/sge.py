"""Spatial Group-wise Enhance (SGE): positions gated in each group by their likeness to its mean.

Paper:   Li et al., "Spatial Group-wise Enhance: Improving Semantic Feature Learning in
         Convolutional Networks", 2019, https://arxiv.org/abs/1905.09646
Idea:    in each of G groups of channels, c_i = g · x_i with g the group's mean over all positions;
         c is normalised over the positions, ĉ = (c - μ) / (σ + ε), and
         y_i = x_i · sigmoid(γ ĉ_i + β), with one γ and one β for each group.
Differs: the paper has 64 groups; where they do not divide C, the greatest common divisor of both
         is taken. γ starts at 0 and β at 1, as in the authors' code.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import as_float32

_EPSILON = 1e-5


class SpatialGroupEnhance(nn.Module):
    """Gate of positions, one for each group of channels.

    Args:
        channels: C of the input; the output has as many.
        groups: G; the greatest common divisor of G and C is taken.
    """

    def __init__(self, channels: int, *, groups: int = 64) -> None:
        super().__init__()
        self.groups = math.gcd(channels, groups)
        self.weight = nn.Parameter(torch.zeros(self.groups, 1, 1))
        self.bias = nn.Parameter(torch.ones(self.groups, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return x, each group of channels times its gate in (0, 1)."""
        grouped = x.unflatten(1, (self.groups, -1))  # (N, G, C/G, H, W)
        with torch.autocast(x.device.type, enabled=False):
            values = as_float32(grouped)
            likeness = (values * values.mean(dim=(3, 4), keepdim=True)).sum(dim=2)  # (N, G, H, W)
            centred = likeness - likeness.mean(dim=(2, 3), keepdim=True)
            # The root of a variance of 0 has no gradient. It is bounded and not added to, as
            # onnxscript's optimizer takes an addition of less than 1e-8 for one of 0.
            variance = centred.square().mean(dim=(2, 3), keepdim=True)
            deviation = variance.clamp_min(_EPSILON**2).sqrt()
            gate = (self.weight * centred / (deviation + _EPSILON) + self.bias).sigmoid()
        output: Tensor = (grouped * gate.to(x.dtype).unsqueeze(2)).flatten(1, 2)
        return output
