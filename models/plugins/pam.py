"""Position attention module (PAM): every position gathers from the positions like it.

Paper:   Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019, section 3.2,
         https://arxiv.org/abs/1809.02983
Idea:    every position gathers the values of all positions, weighted by how alike they are.
         A = softmax_j(q_i · k_j), y = γ · A v + x, no 1/√d, γ starts at 0.
Differs: the paper's text has batch norm and ReLU on q, k, v; the authors say that the text is
         wrong (issue 45) and their code has plain 1 x 1 convolutions with bias, as here.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.attention import Attention


class PositionAttention(nn.Module):
    """Attention over the L = H·W positions; the identity at its start.

    Args:
        channels: C of the input; the output has as many.
        attention_channels: D, the width of queries and keys; None takes C / 8.
    """

    def __init__(self, channels: int, *, attention_channels: int | None = None) -> None:
        super().__init__()
        width = attention_channels or max(1, channels // 8)
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.attention = Attention()
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return γ · attention(x) + x."""
        query, key, value = (
            project(x).flatten(2) for project in (self.query, self.key, self.value)
        )
        context = self.attention(query, key, value)
        output: Tensor = self.gamma * context.unflatten(2, x.shape[-2:]) + x
        return output
