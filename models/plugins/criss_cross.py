"""Criss-cross attention: every position gathers from its row and its column.

Paper:   Huang et al., "CCNet: Criss-Cross Attention for Semantic Segmentation", ICCV 2019,
         https://arxiv.org/abs/1811.11721
Idea:    a position attends to its row and its column, H + W − 1 positions; done twice with the
         same weights it reaches every position. y = γ · attention(x) + x, γ starts at 0, no
         scaling of the scores. The position itself is in the row and left out of the column.
Cost:    L (H + W) instead of L² weights.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import as_float32


class CrissCrossAttention(nn.Module):
    """Attention over row and column, `recurrence` times; the identity at its start.

    Args:
        channels: C of the input; the output has as many.
        attention_channels: width of queries and keys; None takes C / 8.
        recurrence: how often the same block is applied.
    """

    def __init__(
        self, channels: int, *, attention_channels: int | None = None, recurrence: int = 2
    ) -> None:
        super().__init__()
        width = attention_channels or max(1, channels // 8)
        self.recurrence = recurrence
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return γ · attention(x) + x, `recurrence` times."""
        for _ in range(self.recurrence):
            x = self.gamma * self._attend(x) + x
        return x

    def _attend(self, x: Tensor) -> Tensor:
        query, key, value = self.query(x), self.key(x), self.value(x)
        weights = self._weights(query, key).to(value.dtype)  # (N, H, W, H + W)
        column, row = weights.split([x.shape[2], x.shape[3]], dim=3)
        # Batched products over one axis: columns as (N, W, …), rows as (N, H, …).
        from_column = column.permute(0, 2, 1, 3) @ value.permute(0, 3, 2, 1)  # (N, W, H, C)
        from_row = row @ value.permute(0, 2, 3, 1)  # (N, H, W, C)
        # Contiguous before they are added, or `torch.export` ties the graph to their strides.
        from_column = from_column.permute(0, 3, 2, 1).contiguous()
        output: Tensor = from_column + from_row.permute(0, 3, 1, 2).contiguous()
        return output

    @staticmethod
    def _weights(query: Tensor, key: Tensor) -> Tensor:
        """Return the softmax over column and row (N, H, W, H + W), in fp32 under autocast."""
        height = query.shape[2]
        with torch.autocast(query.device.type, enabled=False):
            query, key = as_float32(query), as_float32(key)
            column = query.permute(0, 3, 2, 1) @ key.permute(0, 3, 1, 2)  # (N, W, H, H)
            row = query.permute(0, 2, 3, 1) @ key.permute(0, 2, 1, 3)  # (N, H, W, W)
            own = torch.eye(height, dtype=torch.bool, device=query.device)
            column = column.masked_fill(own, -torch.inf).permute(0, 2, 1, 3)  # (N, H, W, H)
            return torch.cat([column, row], dim=3).softmax(dim=3)
