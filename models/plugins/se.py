"""Squeeze-and-Excitation (SE): channels gated by the means of all channels.

Paper:   Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, https://arxiv.org/abs/1709.01507
Idea:    gate each channel by what all channels' means say: s = σ(W₂ ReLU(W₁ z)), z the means of
         x, W₁ (C/r, C), W₂ (C, C/r); y = s · x.
Differs: no bias by default, as on the authors' ResNets; `bias=true` gives torchvision's form.
         The hidden width is never below 1.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Channel gate from the channels' means.

    Args:
        channels: C of the input; the output has as many.
        reduction: r, how many times narrower the hidden layer is.
        bias: whether both layers have one.
    """

    def __init__(self, channels: int, *, reduction: int = 16, bias: bool = False) -> None:
        super().__init__()
        width = max(1, channels // reduction)
        self.squeeze = nn.Conv2d(channels, width, 1, bias=bias)
        self.act = nn.ReLU(inplace=True)
        self.excite = nn.Conv2d(width, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return x, each channel times its gate in (0, 1)."""
        means = x.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
        output: Tensor = x * self.excite(self.act(self.squeeze(means))).sigmoid()
        return output
