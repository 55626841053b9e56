"""SimAM: every position of every channel gated by how far it stands out, without parameters.

Paper:   Yang et al., "SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
         Networks", ICML 2021, https://proceedings.mlr.press/v139/yang21o.html
Idea:    the least energy of a neuron t among the M of its channel (equation 5) is
         e = 4 (σ² + λ) / ((t - μ)² + 2σ² + 2λ), and the gate is σ(1/e):
         y = x · sigmoid((x - μ)² / (4 (σ² + λ)) + 1/2), with μ and σ² over the map.
Differs: σ² is divided by M - 1 as in the authors' code, and by 1 on a map of one position.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import as_float32


class SimpleAttention(nn.Module):
    """Gate of single positions from the mean and variance of their map.

    Args:
        channels: C of the input; the output has as many.
        regularization: λ of the energy, above 0.
    """

    def __init__(self, channels: int, *, regularization: float = 1e-4) -> None:
        super().__init__()
        self.channels = channels
        self.regularization = regularization

    def forward(self, x: Tensor) -> Tensor:
        """Return x times its gate in (0.5, 1)."""
        with torch.autocast(x.device.type, enabled=False):
            values = as_float32(x)  # squares of fp16 overflow from 256 on
            squares = (values - values.mean(dim=(2, 3), keepdim=True)).square()
            others = torch.ones_like(squares[:1, :1]).sum() - 1
            variance = squares.sum(dim=(2, 3), keepdim=True) / others.clamp(min=1)
            gate = (squares / (4 * (variance + self.regularization)) + 0.5).sigmoid()
        return x * gate.to(x.dtype)
