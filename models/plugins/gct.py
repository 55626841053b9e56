"""Gated Channel Transformation (GCT): channels compete by their norms, with 3C parameters.

Paper:   Yang et al., "Gated Channel Transformation for Visual Recognition", CVPR 2020,
         https://arxiv.org/abs/1909.11519
Idea:    s_c = α_c ‖x_c‖₂, ŝ_c = √C s_c / ‖s‖₂, y_c = x_c (1 + tanh(γ_c ŝ_c + β_c)); both norms with
         ε under the root. α starts at 1, γ and β at 0: the identity.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import as_float32


class GatedChannelTransformation(nn.Module):
    """Channel gate in (0, 2) from the channels' norms; the identity at its start.

    Args:
        channels: C of the input; the output has as many.
        epsilon: ε, above 0.
    """

    def __init__(self, channels: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.alpha = nn.Parameter(torch.ones(channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return x, each channel times its gate."""
        with torch.autocast(x.device.type, enabled=False):
            values = as_float32(x)  # sums of squares overflow fp16
            norms = (values.square().sum(dim=(2, 3), keepdim=True) + self.epsilon).sqrt()
            scaled = self.alpha * norms  # (N, C, 1, 1)
            # √C / ‖s‖₂ is one over the root of the mean square.
            mean_square = scaled.square().mean(dim=1, keepdim=True)
            relative = scaled / (mean_square + self.epsilon / scaled.shape[1]).sqrt()
            gate = 1 + (self.gamma * relative + self.beta).tanh()
        return x * gate.to(x.dtype)
