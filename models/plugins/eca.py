"""Efficient Channel Attention (ECA): channels gated by their neighbours' means.

Paper:   Wang et al., "ECA-Net: Efficient Channel Attention for Deep Convolutional Neural
         Networks", CVPR 2020, https://arxiv.org/abs/1910.03151
Idea:    gate each channel by a 1-D convolution over its neighbours' means; k weights in all, k odd
         and about log₂(C) / 2.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import math

from torch import Tensor, nn


class EfficientChannelAttention(nn.Module):
    """Channel gate whose kernel width follows the channel count.

    Args:
        channels: C of the input; the output has as many.
        gamma, beta: the paper's mapping from C to the kernel width.
    """

    def __init__(self, channels: int, *, gamma: float = 2.0, beta: float = 1.0) -> None:
        super().__init__()
        width = int(abs(math.log2(channels) + beta) / gamma) | 1  # nearest odd, upwards
        self.mix = nn.Conv1d(1, 1, width, padding=width // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return x, each channel times its gate in (0, 1)."""
        means = x.mean(dim=(2, 3)).unsqueeze(1)  # (N, 1, C)
        gate = self.mix(means).sigmoid().squeeze(1)  # (N, C)
        output: Tensor = x * gate[:, :, None, None]
        return output
