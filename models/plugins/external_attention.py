"""External attention: every position attends to a memory that all images share.

Paper:   Guo et al., "Beyond Self-attention: External Attention using Two Linear Layers for Visual
         Tasks", TPAMI 2022, https://arxiv.org/abs/2105.02358
Idea:    A = normalise(F M_kᵀ), F' = A M_v, with F a 1x1 convolution of x and two learnt memories of
         S rows. The normalisation is double: a softmax over the positions, then each position's S
         values are divided by their sum (equations 5 to 9). Linear in the positions.
Differs: the residual block around it, y = x + W F', ends in a norm whose scale starts at 0, and has
         no ReLU at its end, so that it starts as the identity. The authors' code takes M_v = M_kᵀ
         at the start; here both are drawn.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm, as_float32, start_at_zero

_EPSILON = 1e-9
_SCALE = 1024.0  # a power of two, so nothing is rounded


class ExternalAttention(nn.Module):
    """Attention to two learnt memories; the identity at its start.

    Args:
        channels: C of the input; the output has as many.
        memory: S, the rows of each memory.
        norm: normalisation after W; with `none` the convolution itself starts at 0.
    """

    def __init__(self, channels: int, *, memory: int = 64, norm: Norm = "batch") -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, channels, 1)
        self.keys = nn.Conv1d(channels, memory, 1, bias=False)  # M_k
        self.values = nn.Conv1d(memory, channels, 1, bias=False)  # M_v
        self.out = ConvNormAct(channels, channels, 1, norm=norm, act=False)
        start_at_zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Return x + W F'."""
        scores = self.keys(self.project(x).flatten(2))  # (N, S, L)
        with torch.autocast(x.device.type, enabled=False):
            weights = as_float32(scores).softmax(dim=2)
            # Both sides are scaled, as onnxscript's optimizer takes an addition of less than 1e-8
            # for one of 0; far from all keys the sum is smaller than ε.
            scaled = _SCALE * weights
            weights = scaled / (scaled.sum(dim=1, keepdim=True) + _SCALE * _EPSILON)
        context = self.values(weights.to(scores.dtype))  # (N, C, L)
        output: Tensor = x + self.out(context.unflatten(2, x.shape[-2:]))
        return output
